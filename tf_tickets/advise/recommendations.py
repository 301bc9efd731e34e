"""What to do with the pictures themselves, from what was found; what to train stands in `methods`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from tf_tickets.advise import methods
from tf_tickets.advise.findings import Findings
from tf_tickets.advise.methods import Recommendation
from tf_tickets.report.sentences import count
from tf_tickets.settings.config import Config

_EXTRA = (5, 10, 20, 50, 100, 200, 500, 1000)
# Gains that are not worth a title.
_LITTLE = 0.01
_CLASSES_NAMED = 3
# Of a class of fewer pictures nobody can say much.
_FEW = 10


def recommendations(findings: Findings, config: Config) -> list[Recommendation]:
    """What to do, in the order in which to do it.

    Args:
      findings: what was found.
      config: of the request; its data settings are put into the commands.
    """
    steps = [_copies(findings), _labels(findings), _odd(findings)]
    if _guesses(findings):
        steps.append(_other_pictures(findings))
    else:
        network, ticket = methods.recommended(findings, config)
        steps += [network, _more(findings), ticket]
    return [step for step in steps if step]


def _copies(findings):
    if not findings.pairs:
        return None
    leaks, contradictions = len(findings.leaks), len(findings.contradictions)
    reasons = []
    if leaks:
        reasons.append(
            f"{_pairs(leaks)} one picture in the training part and one in the test part: accuracy on that test part "
            "counts what was learned by heart. Remove one of each pair."
        )
    if contradictions:
        reasons.append(
            f"{_pairs(contradictions)} its pictures in two classes: a label is wrong, or the classes overlap."
        )
    if not reasons:
        reasons.append("All are inside of one class. They count once in the numbers of this page.")
    title = f"Look at {count(len(findings.pairs), 'pair')} of pictures that are nearly the same"
    return Recommendation(title, (*reasons, "They are shown below; near_duplicates.csv lists them."))


def _pairs(amount):
    return f"{count(amount, 'pair').capitalize()} {'has' if amount == 1 else 'have'}"


def _labels(findings):
    if not findings.suspects:
        return None
    collection, first = findings.collection, findings.suspects[0]
    given, suggested = collection.classes[first.given], collection.classes[first.suggested]
    return Recommendation(
        f"Look at {count(len(findings.suspects), 'picture')} whose label may be wrong",
        (
            f"The most suspicious one, {collection.ids[first.row]}, is labelled {given} and looks like {suggested}. "
            "They are shown below, most suspicious first; suspected_labels.csv lists them. Stop where most are "
            "right, and change none that you have not looked at.",
        ),
    )


def _odd(findings):
    if not findings.odd:
        return None
    odd = len({picture.row for picture in findings.odd})
    return Recommendation(
        f"Look at {count(odd, 'picture')} unlike the others",
        (
            "Blank, blurred, of an odd shape, or far from all others: shown below; odd_pictures.csv says why of each. "
            "Remove what does not belong there.",
        ),
    )


def _guesses(findings):
    """Whether nothing shows that the classes can be told apart at all."""
    accuracy = findings.estimate.accuracy
    return accuracy is None or accuracy.low <= findings.guessing


def _other_pictures(findings):
    accuracy, there = findings.estimate.accuracy, [int(number) for number in findings.counts if number]
    reasons = ["No class has two different pictures, so nothing can be learned from one and tried on another."]
    if accuracy is not None:
        reasons = [
            f"{100 * accuracy.value:.0f} % [{100 * accuracy.low:.0f}, {100 * accuracy.high:.0f}] of unseen pictures "
            f"were recognised; always naming the largest class is right in {100 * findings.guessing:.0f} %. So these "
            "pictures do not show yet that the classes can be told apart."
        ]
    if statistics.median(there) < _FEW:
        reasons.append(f"A class has {statistics.median(there):g} pictures (median): take at least ten of each first.")
    else:
        reasons.append("Let somebody sort twenty of them without the labels: where people cannot, no network will.")
    if findings.backbone.outside:
        return Recommendation("Take other or more pictures before any training", tuple(reasons))
    reasons.append("Or look again with a pretrained network, which sees far more in few pictures.")
    return Recommendation("Take other or more pictures before any training", tuple(reasons), (methods.INSTALL,))


def _more(findings):
    per_class = findings.curve.per_class
    extra = max((number for number in _EXTRA if number <= per_class), default=_EXTRA[0])
    gain = findings.curve.more(extra)
    if gain is None:
        title = "Take more pictures"
        reasons = [f"How much {extra} more of each class would help, so few pictures do not say yet."]
    else:
        low, high = 100 * gain.low, 100 * gain.high
        reasons = [
            f"{extra} more of each class: {100 * gain.gain:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}]."
        ]
        title = f"Take more pictures: {extra} more of each class are worth about {100 * gain.gain:.1f} points"
        if gain.high < _LITTLE:
            title = "Take no more pictures of the same kind: they would change little"
    return Recommendation(title, (*reasons, *_weak_classes(findings)))


def _weak_classes(findings) -> Iterator[str]:
    names, accuracy = findings.collection.classes, findings.estimate.accuracy
    known = [each for each in findings.estimate.classes if each.accuracy is not None]
    below = sorted(
        (each for each in known if each.accuracy.value < accuracy.value), key=lambda each: each.accuracy.value
    )
    behind = [each for each in below if each.accuracy.high < accuracy.value]
    if below:
        texts = "; ".join(_weakness(each, names) for each in (behind or below)[:_CLASSES_NAMED])
        chance = "" if behind else " Their intervals reach the accuracy of all, so that this may be chance."
        yield f"First of {'the classes that are behind' if behind else 'the weakest classes'}: {texts}.{chance}"
    small = [each for each in findings.estimate.classes if each.images < _FEW]
    if small and len(small) <= 2 * _CLASSES_NAMED:
        texts = ", ".join(f"{names[each.label]} ({each.images})" for each in small)
        yield f"Classes of too few pictures to say much about: {texts}."
    elif small:
        yield f"{len(small)} classes have fewer than {_FEW} pictures, too few to say much about any of them."


def _weakness(each, names):
    text = f"{names[each.label]}, {100 * each.accuracy.value:.0f} % recognised"
    return f"{text}, most often taken for {names[each.confused_with[0][0]]}" if each.confused_with else text
