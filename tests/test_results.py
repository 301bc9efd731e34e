"""Published numbers: the README's table is that of the committed rows, and they redraw it."""

import re

from conftest import ROOT

from tf_tickets.report import pairing, tables


def test_the_readme_prints_the_committed_numbers():
    frame, problems = tables.collect([str(ROOT / "results" / "quickstart" / "report.csv")])
    assert not problems
    paired = pairing.paired(frame).set_index("round")
    means = frame.groupby("round")["test_accuracy"].mean()
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (\d) \| ([\d.]+) % \| ([\d.]+) % \| (\S*) \| (.*) \| (\S*) \|$", readme, re.M)
    assert [int(row[0]) for row in rows] == list(range(8))
    for number, density, accuracy, difference, interval, p_value in rows:
        index = int(number)
        assert accuracy == f"{100 * means[index]:.2f}"
        assert density == f"{100 * frame[frame['round'] == index]['density'].iloc[0]:.2f}"
        if index:
            row = paired.loc[index]
            assert difference == f"{row['difference']:+.2f}"
            assert interval == f"[{row['low']:+.2f}, {row['high']:+.2f}]"
            assert p_value == f"{row['p_value']:.3f}"
