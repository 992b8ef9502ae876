import pytest
import torch
from torch.nn.functional import avg_pool2d, pad

from blurdm_cli.networks.nafnet import SIZES, ChannelWeights, NAFNet
from tests.networks.golden import image, set_weights


@pytest.mark.parametrize(
    ("window", "height", "width", "values", "mean"),
    [
        (0, 32, 64, [1.36605, 1.96808, 0.97668, 0.3905, 1.38335, 0.49124], 0.6124),
        (48, 64, 96, [0.92849, 1.45784, 1.73721, 0.83853, 1.32603, 1.65744], 0.730387),
    ],
)
def test_answers_are_those_of_the_authors_network(
    window: int, height: int, width: int, values: list[float], mean: float
) -> None:
    """With windows: those of their network for tests, made for crops of two thirds of it."""
    network = NAFNet(0, **SIZES["tiny"], window=window)
    set_weights(network)
    answer = network(image(height, width), None)
    found = torch.cat([answer[0, :, 16, 21], answer[0, :, 0, 63]])
    torch.testing.assert_close(found, torch.tensor(values), atol=1e-4, rtol=0)
    assert answer.mean().item() == pytest.approx(mean, abs=1e-5)


def weights_of_means(x: torch.Tensor, window: int) -> torch.Tensor:
    """Channel weights where each channel's weight is its mean."""
    weigh = ChannelWeights(x.shape[1], window)
    torch.nn.init.dirac_(weigh.from_means.weight)
    torch.nn.init.zeros_(weigh.from_means.bias)
    return weigh.to(x.dtype)(x).detach()


@pytest.mark.parametrize("window", [3, 4])
def test_windows_are_means_and_edges_share_the_outermost(window: int) -> None:
    x = torch.rand(2, 3, 7, 9)
    before, after = (window - 1) // 2, window // 2
    expected = pad(avg_pool2d(x, window, stride=1), (before, after) * 2, mode="replicate")
    torch.testing.assert_close(weights_of_means(x, window), expected)


def test_a_window_that_holds_all_is_the_mean_of_all() -> None:
    x = torch.rand(1, 4, 6, 8)
    torch.testing.assert_close(weights_of_means(x, 8), x.mean(dim=(2, 3), keepdim=True))
    rows = weights_of_means(x, 7)
    torch.testing.assert_close(rows, rows[:, :, :1].expand_as(rows))
    torch.testing.assert_close(
        rows[..., 0], x[..., :7].mean(dim=(2, 3), keepdim=True)[..., 0].expand(1, 4, 6)
    )


def test_sums_beyond_half_precision_are_no_trouble() -> None:
    """Every sum here is above fp16's largest number, 65504."""
    x = torch.full((1, 1, 512, 512), 3.0, dtype=torch.float16)
    for window in (0, 256):
        found = weights_of_means(x, window)
        assert found.dtype == torch.float16
        assert (found - 3).abs().max() < 1e-2


def test_nothing_is_kept_from_one_size_to_the_next() -> None:
    network = NAFNet(0, **SIZES["tiny"], window=32)
    set_weights(network)
    first, other = image(48, 64), image(64, 32)
    before = network(first, None)
    network(other, None)
    assert torch.equal(network(first, None), before)


@pytest.mark.parametrize(
    ("size", "count"), [("width32", 17_111_907), ("width64", 67_888_835), ("sidd32", 29_159_715)]
)
def test_parameters_are_as_many_as_published(size: str, count: int) -> None:
    with torch.device("meta"):
        network = NAFNet(0, **SIZES[size])
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_ways_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="decoder_blocks"):
        NAFNet(0, width=8, encoder_blocks=[1, 1], middle_blocks=1, decoder_blocks=[1])
