from search.planner import Route, choose


def test_few_allowed_images_are_all_scanned() -> None:
    assert choose(allowed=1000, has_vector=True, exact_limit=1000, cheap_matches=None) is Route.SCAN


def test_many_go_to_the_approximate_index() -> None:
    assert choose(allowed=1001, has_vector=True, exact_limit=1000, cheap_matches=None) is Route.ANN


def test_without_a_vector_nothing_is_compared() -> None:
    assert choose(allowed=10**9, has_vector=False, exact_limit=1000, cheap_matches=None) is Route.KEYWORD


def test_a_filter_that_names_too_many_images_is_asked_of_the_nearest_only() -> None:
    assert choose(allowed=101, has_vector=True, exact_limit=1000, cheap_matches=100) is Route.POSTFILTER
    assert choose(allowed=100, has_vector=True, exact_limit=1000, cheap_matches=100) is Route.SCAN
