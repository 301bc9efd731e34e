"""How to make a group of runs again: settings, versions, seeds, commands."""

import shlex

from tf_tickets import own_networks
from tf_tickets.report import details, html, naming
from tf_tickets.report.sections import Group

_MOST_COMMANDS = 12


def section(group: Group) -> str:
    """Settings that differ from the defaults, versions, seeds and commands of a group's runs, folded.

    Returns:
      HTML, empty where no run came from a folder.
    """
    if not group.folders:
        return ""
    names, folders = list(group.folders), list(group.folders.values())
    changed = details.changed_settings(folders[0], group.problems)
    parts = [html.paragraph("Data set, network, and settings that differ from the defaults:")]
    parts.append(html.code("\n".join(changed.values()) or "none"))
    parts += _versions(group)
    commands = [_command(group, folder, name, changed) for name, folder in list(group.folders.items())[:_MOST_COMMANDS]]
    if len(names) > _MOST_COMMANDS:
        commands.append(f"# and {len(names) - _MOST_COMMANDS} more, with the seeds below")
    parts += [html.paragraph("Commands that repeat these runs; add --data_dir where the data are elsewhere:")]
    parts.append(html.code("\n\n".join(commands)))
    seeds = group.frame.drop_duplicates("run")[["run", "seed", "order_seed", "subset_seed"]]
    parts += [html.paragraph("Seeds:"), html.table({
        name.replace("_", " "): [str(value) for value in seeds[name]] for name in seeds.columns
    })]  # fmt: skip
    return html.folded("Settings, versions, seeds and commands", parts)


def _versions(group):
    """Versions of all runs; where they differ, each set once with the number of its runs."""
    counts = {}
    for folder in group.folders.values():
        facts = details.versions(folder, group.problems)
        if facts:
            text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in sorted(facts.items()))
            counts[text] = counts.get(text, 0) + 1
    if not counts:
        return []
    if len(counts) == 1:
        return [html.paragraph("Versions and machine:"), html.code(next(iter(counts)))]
    return [html.paragraph("Versions and machines, which differ between runs:")] + [
        html.code(f"{count} of {len(group.folders)} runs\n{text}") for text, count in counts.items()
    ]


def _command(group, folder, name, changed):
    seeds = group.frame[group.frame["run"] == name].iloc[0]
    words = [f"--{flag}={seeds[flag]}" for flag in ("seed", "subset_seed")]
    if seeds["order_seed"] != seeds["seed"]:
        words.append(f"--order_seed={seeds['order_seed']}")
    command = naming.command_of(folder)
    if changed.get("model", "").startswith(f"--model={own_networks.PREFIX}:"):  # given from Python
        return f"python -m tf_tickets.main {command} --flagfile={shlex.quote(folder.config)} --out=again"
    return " ".join(["python -m tf_tickets.main", command, *map(shlex.quote, [*changed.values(), *words])])
