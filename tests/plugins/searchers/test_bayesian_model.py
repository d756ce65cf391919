"""The model behind the bayesian searcher, against scikit-learn, quadrature and finite differences."""

import keras_tuner
import numpy as np
import pytest
from driven_oracles import mixed
from scipy import integrate, optimize, stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tfkit_searchers.bayesian.acquire import Promise
from tfkit_searchers.encoding import Encoding
from tfkit_searchers.surrogate.belief import Seen, believed
from tfkit_searchers.surrogate.fit import LENGTH_PRIOR, NOISE_PRIOR, SCALE_PRIOR, Evidence, fit
from tfkit_searchers.surrogate.improvement import log_h, log_improvement
from tfkit_searchers.surrogate.process import Kernel, Posterior
from tfkit_searchers.surrogate.thin import kept
from tfkit_searchers.surrogate.warp import symmetric, warped

KERNEL = Kernel(np.array([0.3, 0.8, 2.0]), 1.7, 1e-3)


def seen(count, seed=0):
    features = np.random.default_rng(seed).random((count, 3))
    return features, np.sin(6 * features[:, 0]) + features[:, 1] ** 2


def theirs(features, targets):
    kernel = ConstantKernel(KERNEL.scale) * Matern(KERNEL.lengths, nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=KERNEL.noise, optimizer=None).fit(features, targets)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_posterior_is_scikit_learns(count):
    features, targets = seen(count)
    there = np.random.default_rng(1).random((20, 3))
    expected = theirs(features, targets).predict(there, return_std=True)
    for got, wanted in zip(Posterior(KERNEL, features, targets).at(there), expected):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-9)


def test_posterior_of_one_point_in_closed_form():
    there, r = np.array([[0.5, 0.5, 0.5]]), 0.3 / KERNEL.lengths[0]
    covariance = 1.7 * (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)
    mean, deviation = Posterior(KERNEL, there + np.array([0.3, 0, 0]), np.array([2.0])).at(there)
    assert mean[0] == pytest.approx(covariance * 2 / (1.7 + 1e-3), rel=1e-12)
    assert deviation[0] ** 2 == pytest.approx(1.7 - covariance**2 / (1.7 + 1e-3), rel=1e-12)


def test_slopes_of_the_posterior():
    posterior = Posterior(KERNEL, *seen(30))
    there = np.random.default_rng(2).random((4, 3))
    mean, deviation, *slopes = posterior.slopes_at(there)
    np.testing.assert_allclose((mean, deviation), posterior.at(there), rtol=1e-10)
    for which, slope in enumerate(slopes):
        for point, got in zip(there, slope):
            expected = optimize.approx_fprime(point, lambda x, which=which: posterior.at(x[None])[which][0], 1e-7)
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_evidence_is_scikit_learns_and_its_gradient_is_right():
    features, targets = seen(25)
    evidence = Evidence(features, np.array([0, 1, 1]), targets)
    logs = np.log([0.4, 0.9, 1.2, 1e-2])
    kernel = ConstantKernel(1.2) * Matern([0.4, 0.9, 0.9], nu=2.5) + WhiteKernel(1e-2)
    regressor = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(features, targets)
    priors = zip(logs, (LENGTH_PRIOR, LENGTH_PRIOR, SCALE_PRIOR, NOISE_PRIOR))
    prior = sum(stats.norm(*each).logpdf(value) - stats.norm(*each).logpdf(each[0]) for value, each in priors)
    likelihood = regressor.log_marginal_likelihood_value_ + 25 / 2 * np.log(2 * np.pi)
    assert evidence(logs)[0] == pytest.approx(-likelihood - prior, rel=1e-10)
    expected = optimize.approx_fprime(logs, lambda x: evidence(x)[0], 1e-7)
    np.testing.assert_allclose(evidence(logs)[1], expected, rtol=1e-4, atol=1e-5)


def test_fit_finds_what_counts():
    features = np.random.default_rng(0).random((60, 3))
    noisy = np.sin(5 * features[:, 0]) + 0.3 * np.random.default_rng(1).standard_normal(60)
    kernel = fit(features, np.arange(3), (noisy - noisy.mean()) / noisy.std())
    assert kernel.lengths[0] < 0.5 * min(kernel.lengths[1:])
    assert 0.3 < np.sqrt(kernel.noise) * noisy.std() / 0.3 < 1.5


@pytest.mark.parametrize("z", [3.0, 0.0, -0.9, -1.1, -5.0, -20.0])
def test_expected_improvement_is_its_integral(z):
    mean, deviation = -2.0 * z, 2.0
    density = stats.norm(mean, deviation).pdf
    span = (-60.0, min(0.0, mean + 60)) if z > -15 else (-2.0, 0.0)
    expected, _ = integrate.quad(lambda y: -y * density(y), *span, epsabs=0, epsrel=1e-11, limit=500)
    got = log_improvement(0.0, np.array([mean]), np.array([deviation]))[0][0]
    assert got == pytest.approx(np.log(expected), rel=1e-8)


def test_expected_improvement_far_off():
    # φ(z) / z² is its leading term; the next one is smaller by 3 / z².
    for z in (-99.0, -101.0, -1e4, -1e9):
        leading = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(-z)
        assert log_h(np.array([z]))[0] - leading == pytest.approx(-3 / z**2, abs=2e-7 + 1e-15 * z**2)
    assert abs(np.diff(log_h(np.array([-100 - 1e-9, -100 + 1e-9])))[0]) < 1e-6


@pytest.mark.parametrize("mean", [-1.0, 0.5, 30.0, 400.0])
def test_slopes_of_expected_improvement(mean):
    at = np.array([mean, 0.7])
    value, by_mean, by_deviation = (each[0] for each in log_improvement(0.1, at[:1], at[1:]))
    expected = optimize.approx_fprime(at, lambda x: log_improvement(0.1, x[:1], x[1:])[0][0], 1e-7 * max(mean, 1))
    np.testing.assert_allclose((by_mean, by_deviation), expected, rtol=1e-3)
    assert np.isfinite(value)


def test_slopes_of_the_promise_by_coordinates():
    encoding = Encoding(mixed().space)
    generator = np.random.default_rng(0)
    points = encoding.settled(*(encoding.drawn(generator.random((30, 7))) for _ in range(2)))
    features = encoding.features(points)
    kernel = Kernel(np.full(features.shape[1], 0.7), 1.0, 1e-2)
    seen = Seen(points, generator.standard_normal(30), points[:0], points[:0])
    promise = Promise(encoding, believed(encoding, kernel, seen))
    here = encoding.settled(*(encoding.drawn(generator.random((6, 7))) for _ in range(2)))
    _, slopes = promise.slopes(here)
    for point, got in zip(here, slopes):
        moving = np.flatnonzero(~np.isnan(point) & [not axis.is_category for axis in encoding.axes])

        def at(coordinates, point=point, moving=moving):
            moved = point.copy()
            moved[moving] = coordinates
            return promise(moved[None])[0]

        expected = optimize.approx_fprime(point[moving], at, 1e-7)
        np.testing.assert_allclose(got[moving], expected, rtol=1e-3, atol=1e-4)
        assert not got[np.setdiff1d(np.arange(7), moving)].any()


def distance(encoding, one, other):
    features = encoding.features(np.array([encoding.point(one), encoding.point(other)]))
    return float(np.sqrt(((features[0] - features[1]) ** 2).sum()))


def test_distances_over_choices_numbers_and_scopes():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["flat", "deep", "wide"])
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    with hp.conditional_scope("kind", ["deep", "wide"]):
        hp.Float("share", 0.0, 1.0)
    encoding = Encoding(hp.space)
    flat, deep = {"kind": "flat", "rate": 1e-4}, {"kind": "deep", "rate": 1e-4, "share": 0.2}
    assert distance(encoding, flat, {**flat, "rate": 1e-2}) == pytest.approx(0.5)
    assert distance(encoding, deep, {**deep, "kind": "wide"}) == pytest.approx(1.0)
    # As far from inactive whatever its value; and no farther from each other than about their difference.
    assert distance(encoding, flat, deep) == pytest.approx(distance(encoding, flat, {**deep, "share": 0.9}))
    assert 0.65 < distance(encoding, deep, {**deep, "share": 0.9}) < 0.7
    assert distance(encoding, deep, {**deep, "share": 0.3}) == pytest.approx(0.1, rel=0.01)


def test_points_and_values_are_each_others_inverse():
    hp = mixed()
    hp.Int("batch", 16, 256, step=2, sampling="log")
    hp.Float("momentum", 0.5, 0.99, sampling="reverse_log")
    hp.Float("step", 0.001, 10, step=10, sampling="reverse_log")
    hp.Choice("width", [1, 2, 4, 8])
    hp.Int("many", 1, 10**6)
    hp.Float("fine", 0.0, 1.0, step=1e-5)
    hp.Fixed("kept", "text")
    encoding = Encoding(hp.space)
    generator = np.random.default_rng(0)
    uniform = encoding.drawn(generator.random((200, len(encoding.axes))))
    for point in encoding.settled(uniform, uniform):
        values = encoding.values(point)
        again = encoding.values(encoding.point(values))
        assert again.keys() == values.keys()
        for name, value in values.items():
            assert again[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
        assert values.keys() == {each.name for each in hp.space} - ({"layers"} if values["kind"] == "flat" else set())
        np.testing.assert_allclose(encoding.point(values), point, atol=1e-5)


def test_one_name_in_two_scopes():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    for kind, low in (("a", 1), ("b", 101)):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("units", low, low + 9)
    encoding = Encoding(hp.space)
    assert np.isnan(encoding.point({"kind": "b", "units": 105})).tolist() == [False, True, False]
    assert encoding.values(encoding.point({"kind": "b", "units": 105})) == {"kind": "b", "units": 105}
    uniform = encoding.drawn(np.random.default_rng(0).random((50, 3)))
    assert (np.isnan(encoding.settled(uniform, uniform)[:, 1:]).sum(1) == 1).all()


def test_one_name_inside_a_scope_and_outside():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("units", 1, 50)
    hp.Int("units", 1, 60)
    encoding = Encoding(hp.space)
    points = np.array([encoding.point({"kind": kind, "units": 5}) for kind in "ab"])
    assert np.isnan(points).tolist() == [[False, False, True], [False, True, False]]
    assert np.isfinite(encoding.features(points)).all()


def test_warped_targets_keep_their_order_and_resist_outliers():
    scores = np.random.default_rng(0).random(50)
    plain = warped(scores)
    assert (np.argsort(plain) == np.argsort(scores)).all()
    assert (plain.mean(), plain.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    wild = scores.copy()
    wild[np.argsort(scores)[-5:]] = [1e3, 1e5, 1e10, 1e100, 1e300]
    good = np.argsort(scores)[:25]
    assert np.abs(warped(wild) - plain)[good].max() < 0.5
    assert np.isfinite(warped(wild)).all()
    assert not warped(np.full(9, 3.0)).any()


def test_power_transformation_is_scipys():
    values = np.random.default_rng(0).exponential(size=60) - 0.5
    expected = stats.yeojohnson(values)[0]
    assert np.corrcoef(symmetric(values), expected)[0, 1] > 0.9999
    powers = [stats.yeojohnson(values, power) for power in np.linspace(-3, 5, 81)]
    assert min(np.abs(symmetric(values) - each).max() for each in powers) < 1e-9


def test_thinned_points_keep_the_best_and_cover_the_rest():
    generator = np.random.default_rng(0)
    features = np.concatenate([generator.random((400, 2)) * 0.1, generator.random((100, 2))])
    targets = generator.random(500)
    few = kept(features, targets, 60)
    assert len(set(few)) == 60
    assert set(np.argsort(targets)[:30]) <= set(few)
    gaps = [np.sqrt(((features[few] - each) ** 2).sum(1)).min() for each in features]
    assert max(gaps) < 0.2
