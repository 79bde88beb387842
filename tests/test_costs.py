"""What runs cost and what stops them: from Python, against a server of the tests' own."""

from __future__ import annotations

import pytest
from replicate_server import Replicate, become, hold, problem, say

import replicate_magic as rm
from replicate_magic import session, settings
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.errors import BatchFailed, InsufficientCredit, OverBudget
from replicate_magic.order import Conditions
from replicate_magic.spending import Purse, Spending
from replicate_magic.views import NoView
from replicate_magic.views.status import status_line

SECOND = {"acme/poet": {"predict_time": 0.01}}


def took(seconds, status="succeeded"):
    return say("Hello"), become(status, metrics={"predict_time": seconds})


@pytest.fixture
def replicate(monkeypatch, home):
    """A server, in a process that has spent nothing and has no settings."""
    runner = session.the_session().runner
    before, runner.purse = runner.purse, Purse()
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", server.token)
        yield server
        session.close()
    runner.purse = before
    settings.reset()


@pytest.fixture
def priced(replicate):
    settings.the_settings().prices = SECOND
    replicate.tells(*took(2))
    return replicate


def spent():
    return session.the_session().runner.purse.spent_usd


def drive(model, *, most_usd=None, blind=False):
    """As a cell does, with --max-cost and --yes."""
    conditions = Conditions(spending=Spending(most_usd=most_usd, blind=blind))
    draft = Draft(inputs={"prompt": "hi"})
    return session.the_session().drive(read_target(model), draft, conditions, NoView()).wait()


# -- what it cost -------------------------------------------------------------------------------


def test_a_run_has_its_cost_at_its_end_and_so_has_its_row(priced):
    ended = rm.run("acme/poet", prompt="hi")
    [cost] = rm.runs()["local.cost_estimate_usd"]

    assert ended.cost_usd == cost == pytest.approx(0.02)
    assert rm.runs().jq.map(".local.cost_estimate_usd")["value"].tolist() == [pytest.approx(0.02)]
    assert "· ≈ $0.0200 ·" in status_line(ended, ended=True)
    assert spent() == pytest.approx(0.02)


def test_without_a_price_it_stays_unknown(replicate):
    ended = rm.run("acme/poet", prompt="hi")

    assert ended.cost_usd is None
    assert "local.cost_estimate_usd" not in rm.runs().columns
    assert "$" not in status_line(ended, ended=True)


def test_a_failed_run_has_a_cost_and_one_that_never_began_has_none(priced):
    priced.tells_in_turn(took(3, "failed"), (become("aborted"),))
    costs = []
    for _ in range(2):
        with pytest.raises(rm.PredictionFailed) as caught:
            rm.run("acme/poet", prompt="hi")
        costs.append(caught.value.prediction.cost_usd)

    assert costs == [pytest.approx(0.03), 0.0]


def test_a_deployment_costs_what_the_hardware_does_that_the_api_names(replicate):
    replicate.hardware["acme/prod"] = "gpu-l40s-2x"
    replicate.tells(*took(10))
    ended = rm.run("deployment:acme/prod", prompt="hi")

    assert ended.cost_usd == pytest.approx(0.0195)
    assert rm.stats()["cost_usd"].tolist() == [pytest.approx(0.0195)]


def test_an_answer_of_history_costs_nothing_a_second_time(priced):
    rm.run("acme/poet", prompt="hi")
    again = rm.run("acme/poet", prompt="hi", cached=True)

    assert again.cost_usd is None
    assert "$" not in status_line(again, ended=True)
    assert spent() == pytest.approx(0.02)
    assert rm.stats(prices=SECOND)["cost_usd"].tolist() == [pytest.approx(0.02)]


def test_a_batchs_frame_has_the_cost_of_each(priced):
    frame = rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}")

    assert frame["local.cost_estimate_usd"].tolist() == [pytest.approx(0.02)] * 2
    assert spent() == pytest.approx(0.04)


# -- what stops it ------------------------------------------------------------------------------


def test_a_run_that_would_cost_too_much_is_not_sent(priced):
    rm.run("acme/poet", prompt="one")
    with pytest.raises(OverBudget, match=r"acme/poet may cost about \$0\.0200.*is \$0\.0100\."):
        rm.run("acme/poet", prompt="two", max_cost=0.01)
    rm.run("acme/poet", prompt="three", max_cost=0.02)

    assert [one.json["input"]["prompt"] for one in priced.seen("create")] == ["one", "three"]
    assert len(rm.runs()) == 2


@pytest.mark.parametrize(
    ("prices", "why"),
    [({}, "there is no price for it"), (SECOND, "the history has no run of it that tells")],
)
def test_what_is_not_known_to_be_cheap_is_not_sent_but_for_yes(replicate, prices, why):
    settings.the_settings().prices = prices
    with pytest.raises(OverBudget, match=f"acme/poet costs is not known: {why}"):
        drive("acme/poet", most_usd=5.0)
    assert replicate.seen("create") == []

    assert drive("acme/poet", most_usd=5.0, blind=True).ok


def test_what_runs_here_passes_every_limit_without_a_price(replicate):
    """`local/…` on a server that was started by hand; Replicate bills nothing for it."""
    settings.the_settings().budget_usd = 0.0
    with pytest.raises(rm.NotFound):  # it came as far as the server, which has no such model
        rm.run("local/poet", prompt="hi", max_cost=0)


def test_a_deployments_earlier_runs_are_its_own(priced):
    priced.hardware["acme/prod"] = "gpu-t4"
    rm.run("acme/poet", prompt="one")
    with pytest.raises(OverBudget, match="prod costs is not known: the history has no run of it"):
        rm.run("deployment:acme/prod", prompt="two", max_cost=1)
    drive("deployment:acme/prod", most_usd=1, blind=True)
    with pytest.raises(OverBudget, match=r"prod may cost about \$0\.000450"):
        rm.run("deployment:acme/prod", prompt="three", max_cost=0.0001)


def test_a_budget_is_for_all_runs_of_the_process(priced):
    rm.run("acme/poet", prompt="one")
    settings.the_settings().budget_usd = 0.05
    rm.run("acme/poet", prompt="two")
    with pytest.raises(OverBudget, match=r"budget_usd is \$0\.0500, of which \$0\.0400 are spent"):
        rm.run("acme/poet", prompt="three")
    with pytest.raises(OverBudget, match="2 requests may cost about"):
        rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}")
    settings.the_settings().budget_usd = 1.0
    rm.run("acme/poet", prompt="four")

    assert len(priced.seen("create")) == 3


def test_a_run_that_is_under_way_counts(priced):
    rm.run("acme/poet", prompt="one")
    settings.the_settings().budget_usd = 0.05
    priced.tells(say("H"), hold(), *took(2))
    job = rm.start("acme/poet", prompt="two")
    priced.wait_for("stream", 2)
    with pytest.raises(OverBudget, match=r"of which \$0\.0400 are spent or under way"):
        rm.run("acme/poet", prompt="three")
    priced.release()

    assert job.wait().ok
    assert spent() == pytest.approx(0.04)


def test_what_was_refused_or_not_sent_costs_nothing(priced):
    rm.run("acme/poet", prompt="one")
    settings.the_settings().budget_usd = 1.0
    priced.fails("create", problem_of(402))
    with pytest.raises(InsufficientCredit):
        rm.run("acme/poet", prompt="two")

    purse = session.the_session().runner.purse
    assert (purse.spent_usd, purse.held_usd) == (pytest.approx(0.02), 0.0)


def problem_of(status):
    async def fault(exchange):
        await exchange.send(problem(status, "No credit", "Buy some"))

    return fault


def test_many_that_would_cost_too_much_together_are_not_sent_at_all(priced):
    rm.run("acme/poet", prompt="one")
    with pytest.raises(OverBudget, match=r"3 requests may cost about \$0\.0600"):
        rm.batch("acme/poet", rows=["a", "b", "c"], prompt="{{row}}", max_cost=0.05)
    with pytest.raises(OverBudget, match="acme/sketch costs is not known"):
        rm.batch(["acme/poet", "acme/sketch"], prompt="hi", max_cost=5)

    assert len(priced.seen("create")) == 1
    assert (
        rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", max_cost=0.04)["id"].notna().all()
    )


def test_many_stop_where_they_cost_more_than_the_earlier_ones_did(priced):
    """The mean of before has them all begin; what the first ones cost ends it."""
    rm.run("acme/poet", prompt="one")
    priced.tells(*took(10))
    with pytest.raises(BatchFailed, match=r"No more were sent: acme/poet may cost") as caught:
        rm.batch("acme/poet", repeat=10, prompt="hi", max_cost=0.25, concurrency=1)
    frame = caught.value.frame

    assert frame["status"].tolist().count("succeeded") == 2
    assert "Nothing was sent" not in str(caught.value)
    assert frame["error"].iloc[-1].startswith("Not sent: acme/poet may cost about")


def test_rows_of_a_generator_stop_at_the_limit_too(priced):
    rm.run("acme/poet", prompt="one")
    with pytest.raises(BatchFailed, match="No more were sent"):
        rm.batch("acme/poet", rows=iter("abcdefgh"), prompt="{{row}}", max_cost=0.07, concurrency=2)

    assert len(priced.seen("create")) == 1 + 3


def test_a_batch_that_was_stopped_is_resumed_under_the_same_limit(priced):
    rm.run("acme/poet", prompt="one")
    priced.tells(*took(10))
    with pytest.raises(BatchFailed):
        rm.batch("acme/poet", repeat=6, prompt="hi", max_cost=0.15, concurrency=1)
    with pytest.raises(OverBudget, match="requests may cost about"):
        rm.resume()


@pytest.mark.parametrize("wrong", [-1, "much", float("nan"), float("inf"), ""])
def test_a_limit_that_is_no_amount_is_refused(replicate, wrong):
    with pytest.raises(rm.CellError, match="no amount of US dollars"):
        rm.run("acme/poet", prompt="hi", max_cost=wrong)
