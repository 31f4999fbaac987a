"""A digest is shown by the same command as any other mail."""

from tests.house import DORMANT, House, key


def test_deliver_shows_the_digest_of_a_period_and_that_other_runs_have_none(run, tmp_path):
    house = House(tmp_path)
    house.extra = (
        "deliveries: [{name: security, channel: email, host: localhost, from: a@example.com,"
        " to: [s@example.com], attach: [], digest: monthly}]"
    )
    for _ in range(2):
        house.export(key(1, **DORMANT))
        house.audit(deliver=False)
        house.later(days=1)
    config, out = tmp_path / "config.yaml", tmp_path / "shown"
    show = ("deliver", "-c", config, "--channel", "security", "--dry-run", "--output", out)

    answer = run(*show, "--run", 1)
    assert answer.code == 0
    (path,) = out.iterdir()
    assert b"Subject: [auditor] Monthly digest: " in path.read_bytes()
    assert str(path) in answer.out


def test_a_wrong_digest_is_refused_by_config_check(run, tmp_path):
    house = House(tmp_path)
    channel = (
        "deliveries: [{name: security, channel: email, host: localhost, from: a@example.com,"
        " to: [s@example.com], %s}]"
    )
    for wrong, says in (
        ("digest: hourly", "'daily', 'weekly' or 'monthly'"),
        ("digest: weekly, timezone: Berlin", "there is no time zone 'Berlin'"),
    ):
        config = tmp_path / "config.yaml"
        config.write_text(
            f"sources: [{{name: x, provider: file, path: x.json}}]\n{channel % wrong}\n"
        )
        answer = run("config", "check", "-c", config)
        assert answer.code == 2
        assert says in answer.err
    assert house.root == tmp_path
