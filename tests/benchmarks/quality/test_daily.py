from benchmarks.quality.daily import evenly_back


def test_refits_lie_evenly_back_while_enough_is_left() -> None:
    folds = evenly_back(365, 800, least=364, every=30, most=3)
    assert [fold.fit_until for fold in folds] == [365, 395, 425]
    assert evenly_back(365, 500, least=364, every=30, most=3) == []
