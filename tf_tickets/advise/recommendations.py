"""What to do with the pictures themselves, from what was found; what to train stands in `methods`."""

from __future__ import annotations

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
    if findings.guesses:
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
        drawn = bool(findings.collection.folded.all())
        test = "the fifth that training keeps for its test" if drawn else "the test part"
        reasons.append(
            f"{_pairs(leaks)} one picture in {test} and one in the rest: accuracy on it counts what was learned by "
            "heart. Remove one of each pair."
        )
    if contradictions:
        reasons.append(
            f"{_pairs(contradictions)} two labels: one of them is wrong, or the classes hold the same things. Both "
            "pictures are left out of the numbers of this page."
        )
    if not reasons:
        reasons.append("All are inside of one class. They count once in the numbers of this page.")
    title = f"Look at {count(len(findings.pairs), 'pair')} of pictures that are nearly the same"
    return Recommendation(title, (*reasons, "The page shows them; near_duplicates.csv lists them."))


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
            "right, and change none that you have not looked at. Then run this again: the numbers here are of the "
            "labels as they are.",
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


def _other_pictures(findings):
    balanced = findings.estimate.balanced_accuracy
    reasons = ["No class has two different pictures, so nothing can be learned from one and tried on another."]
    if balanced is not None:
        reasons = [
            f"With every class counted alike {100 * balanced.value:.0f} % [{100 * balanced.low:.0f}, "
            f"{100 * balanced.high:.0f}] of unseen pictures were recognised, and guessing has "
            f"{100 / len(findings.scored):.0f} %: these pictures do not show yet that the classes can be told apart."
        ]
    small = [each for each in findings.estimate.classes if each.images < _FEW]
    if small:
        reasons += [f"Take at least {_FEW} pictures of each class first.", *_small_classes(findings)]
    else:
        reasons.append("Let somebody sort twenty of them without the labels: where people cannot, no network will.")
    title = f"Take {'more' if small else 'other'} pictures before any training"
    if findings.backbone.outside:
        return Recommendation(title, tuple(reasons))
    reasons.append("Or look again with a pretrained network, which sees far more in few pictures.")
    return Recommendation(title, tuple(reasons), (methods.INSTALL,))


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
    known = findings.scored
    below = sorted(
        (each for each in known if each.accuracy.value < accuracy.value), key=lambda each: each.accuracy.value
    )
    behind = [each for each in below if each.accuracy.high < accuracy.value]
    if below:
        texts = "; ".join(_weakness(each, names) for each in (behind or below)[:_CLASSES_NAMED])
        chance = "" if behind else " Their intervals reach the accuracy of all, so that this may be chance."
        yield f"First of {'the classes that are behind' if behind else 'the weakest classes'}: {texts}.{chance}"
    yield from _small_classes(findings)


def _small_classes(findings) -> Iterator[str]:
    small = [(name, int(number)) for name, number in zip(findings.collection.classes, findings.counts) if number < _FEW]
    if small and len(small) <= 2 * _CLASSES_NAMED:
        texts = ", ".join(f"{name} ({number})" for name, number in small)
        yield f"Too few pictures to say much about: {texts}."
    elif small:
        yield f"{len(small)} classes have fewer than {_FEW} pictures, too few to say much about any of them."


def _weakness(each, names):
    text = f"{names[each.label]}, {100 * each.accuracy.value:.0f} % recognised"
    return f"{text}, most often taken for {names[each.confused_with[0][0]]}" if each.confused_with else text
