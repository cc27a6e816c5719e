from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from search.planner import COSTS, Costs, Lookup, Route, Task, cheapest, choose

costs = st.builds(Costs, **{one.name: st.floats(0, 1e6) for one in fields(Costs)})
tasks = st.builds(
    Task, allowed=st.integers(0, 10**7), scanned=st.floats(0, 1e7), all=st.booleans(), share=st.floats(0, 1)
)


def test_few_allowed_images_are_scanned() -> None:
    assert choose(allowed=1000, has_vector=True, exact_limit=1000, cheap_matches=None) is Route.SCAN


def test_many_are_searched_approximately() -> None:
    assert choose(allowed=1001, has_vector=True, exact_limit=1000, cheap_matches=None) is Route.ANN


def test_without_a_vector_there_is_nothing_to_compare() -> None:
    assert choose(allowed=10**9, has_vector=False, exact_limit=1000, cheap_matches=None) is Route.KEYWORD


def test_a_filter_whose_matches_are_dear_is_asked_of_the_nearest() -> None:
    assert choose(allowed=101, has_vector=True, exact_limit=1000, cheap_matches=100) is Route.POSTFILTER
    assert choose(allowed=100, has_vector=True, exact_limit=1000, cheap_matches=100) is Route.SCAN


@given(tasks, costs)
def test_what_is_chosen_takes_least(task: Task, costs: Costs) -> None:
    chosen = cheapest(task, costs)
    assert all(costs.of(chosen, task) <= costs.of(other, task) for other in Lookup)


@given(tasks)
def test_a_filter_that_lets_more_through_never_costs_less(task: Task) -> None:
    more = Task(task.allowed + 1000, task.scanned + 1000, task.all, min(1.0, task.share + 0.1))
    assert all(COSTS.of(one, more) >= COSTS.of(one, task) for one in Lookup)


def test_of_a_million_few_are_compared_some_gathered_and_all_looked_for_in_cells() -> None:
    def lookup(allowed: int) -> Lookup:
        share = allowed / 10**6
        return cheapest(Task(allowed, 250_000, allowed == 10**6, share))

    assert [lookup(allowed) for allowed in (100, 1_000, 30_000, 10**6)] == [
        Lookup.EXACT,
        Lookup.EXACT,
        Lookup.GATHER,
        Lookup.CELLS,
    ]
