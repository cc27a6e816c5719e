from search.planner import Route, choose


def test_few_allowed_images_are_all_scanned() -> None:
    assert choose(allowed=1000, has_vector=True, exact_limit=1000) is Route.SCAN


def test_many_go_to_the_approximate_index() -> None:
    assert choose(allowed=1001, has_vector=True, exact_limit=1000) is Route.ANN


def test_without_a_vector_nothing_is_compared() -> None:
    assert choose(allowed=10**9, has_vector=False, exact_limit=1000) is Route.KEYWORD
