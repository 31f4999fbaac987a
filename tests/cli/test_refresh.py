"""What people read who look again at a credential that cannot be read alone."""

import json


def test_a_source_without_such_a_call_says_what_to_do_instead(run, home):
    listed = run("credentials", "list", "-c", home / "config.yaml", "--json").out
    one = json.loads(listed)[0]

    answer = run("credentials", "show", one["uid"], "-c", home / "config.yaml", "--refresh")

    assert answer.code == 3
    assert "no call that reads one credential alone" in answer.err
    assert f"auditor audit --source {one['source']}" in answer.err
    assert "Traceback" not in answer.err
