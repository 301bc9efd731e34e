from tf_tickets import augment as augment
from tf_tickets import data as data
from tf_tickets import errors as errors
from tf_tickets import models as models
from tf_tickets import plugins as plugins
from tf_tickets import pruning as pruning
from tf_tickets import registry as registry
from tf_tickets.experiments.pretrain import pretrain as pretrain
from tf_tickets.export import Ticket as Ticket
from tf_tickets.finished_networks import evaluate as evaluate
from tf_tickets.finished_networks import predict as predict
from tf_tickets.library import Report as Report
from tf_tickets.library import Run as Run
from tf_tickets.library import advise as advise
from tf_tickets.library import export as export
from tf_tickets.library import imp as imp
from tf_tickets.library import report as report
from tf_tickets.library import train as train
from tf_tickets.observers import Observer as Observer
from tf_tickets.settings.config import Config as Config

__version__: str
