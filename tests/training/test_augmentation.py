"""Augmentation is a function of the generator alone, and does to each image what Pillow would."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch.nn import functional as F

from overproof import TrainOptions
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.training.augmentation import STEPS, augment
from overproof.training.image_operations import Colour, Crop, CutOut, Flip, ResizedCrop, grey_of
from overproof.training.rand_augment import OPERATIONS, RandAugment, operate

# Grey and colour, a smooth ramp, noise, and one flat image.
NOISE = torch.randint(40, 200, (4, 3, 9, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
NOISE[1] = torch.arange(0, 216, 2, dtype=torch.uint8).view(9, 12)
NOISE[2] = 77
# More pixels than values, or there is nothing to equalize.
LARGE = F.pad(NOISE.repeat(1, 1, 3, 3), (1, 1, 1, 1), value=210)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", [make() for make in STEPS.values()], ids=list(STEPS))
def test_a_step_is_a_function_of_the_generator(step, channels):
    images = NOISE[:, :channels].repeat(30, 1, 1, 1)
    before = images.clone()
    found = step(images, generator())
    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    assert torch.equal(images, before)
    assert torch.equal(found, step(images, generator()))
    assert not torch.equal(found, step(images, generator(1)))
    # Every image draws for itself: copies of one come out differently, and as they would in another batch.
    assert len(found[::4].flatten(1).unique(dim=0)) > 1


def test_the_old_recipes_are_their_steps():
    images = NOISE.repeat(20, 1, 1, 1)
    assert torch.equal(augment(images, "crop", 2, generator()), augment(images, (Crop(padding=2),), 9, generator()))
    assert torch.equal(augment(images, "none", 2, generator()), images)
    both = augment(images, (Crop(padding=2), Flip()), 0, generator())
    drawn = generator()
    assert torch.equal(both, Flip()(Crop(padding=2)(images, drawn), drawn))


def test_half_of_the_images_are_mirrored():
    found = Flip()(NOISE[:1].expand(2000, -1, -1, -1), generator())
    mirrored = (found == NOISE[0].flip(2)).flatten(1).all(dim=1)
    assert (mirrored | (found == NOISE[0]).flatten(1).all(dim=1)).all()
    assert 900 < mirrored.sum() < 1100


def test_a_resized_crop_shows_a_part_and_never_the_outside():
    ramp = torch.arange(10, 250, 8, dtype=torch.uint8).expand(500, 1, 30, 30)
    found = ResizedCrop(smallest=0.25)(ramp, generator())
    assert found.min() >= 9
    # Along the ramp's width 232 values are seen; a part has at least half of its side, at most all.
    seen = (found[:, 0, 0, -1].float() - found[:, 0, 0, 0].float()) / 232
    assert 0.47 < seen.min() < 0.53
    assert 0.95 < seen.max() <= 1
    assert torch.equal(ResizedCrop(smallest=1.0)(ramp, generator()), ramp)


def test_a_hole_is_a_square_in_the_mean_colour():
    found = CutOut(side=0.5)(NOISE[:1].expand(300, -1, -1, -1), generator())
    mean = NOISE[0].float().mean(dim=(1, 2)).round()
    changed = (found != NOISE[0]).any(dim=1)
    assert (found.permute(0, 2, 3, 1)[changed].float() == mean).all()
    # Half of nine is four: sixteen pixels, fewer at the border, and every place is hit.
    assert changed.sum(dim=(1, 2)).max() == 16
    assert changed.any(dim=0).all()


def test_colours_change_within_their_bounds():
    grey = torch.full((400, 3, 4, 4), 100, dtype=torch.uint8)
    bright = Colour(brightness=0.2, contrast=0.0, saturation=0.0)(grey, generator()).float()
    assert 80 <= bright.min() < 83
    assert 117 < bright.max() <= 120
    for still in (Colour(brightness=0.0), Colour(brightness=0.0, hue=0.5)):
        # Nothing but brightness can change an image of one grey.
        assert (still(grey, generator()).float() - 100).abs().max() <= 1
    # So muted that no turn leaves the range of bytes, and the luma stays: 100 + .299 · 40.
    red = torch.full((400, 3, 2, 2), 100, dtype=torch.uint8)
    red[:, 0] = 140
    turned = Colour(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.5)(red, generator())
    luma = (turned.float() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1)
    assert (turned.argmax(dim=1)[:, 0, 0].bincount(minlength=3) > 50).all()
    assert (luma - 111.96).abs().max() < 1
    assert torch.equal(Colour(brightness=0.0, contrast=0.0, saturation=0.0)(red, generator()), red)


def pillow(name, array, level, sign):
    image = Image.fromarray(array.transpose(1, 2, 0))
    factor = 1 + 0.9 * level * sign
    plain = {
        "identity": lambda: image,
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "solarize": lambda: ImageOps.solarize(image, 256 * (1 - level)),
        "posterize": lambda: ImageOps.posterize(image, 8 - round(4 * level)),
        "colour": lambda: ImageEnhance.Color(image).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
    }
    return np.asarray(plain[name]()).transpose(2, 0, 1)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", OPERATIONS[:9])
def test_an_operation_is_pillows(name, level):
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])
    found = operate(name, LARGE, level, sign)
    expected = np.stack([pillow(name, each.numpy(), level, s) for each, s in zip(LARGE, sign.tolist(), strict=True)])
    # Pillow rounds means and blends to whole numbers on the way, or cuts them off.
    allowed = {"autocontrast": 1, "contrast": 2, "colour": 2, "brightness": 1, "sharpness": 2}.get(name, 0)
    assert np.abs(found.numpy().astype(int) - expected.astype(int)).max() <= allowed


@pytest.mark.parametrize("name", OPERATIONS[9:])
def test_a_move_has_its_amount_and_its_direction(name):
    dot = torch.zeros(2, 1, 41, 41, dtype=torch.uint8)
    dot[:, :, 10, 20] = 255
    level = {"translate_x": 10 / 41 / 0.45, "translate_y": 10 / 41 / 0.45}.get(name, 1.0)
    found = operate(name, dot, level, torch.tensor([1.0, -1.0]))
    places = [[divmod(each.argmax().item(), 41)] for each in found]
    # Ten rows above the middle: a shear by .3 moves the dot by three pixels, a turn by 30 degrees by half of ten.
    expected = {
        "rotate": [[(11, 15)], [(11, 25)]],
        "shear_x": [[(10, 23)], [(10, 17)]],
        "shear_y": [[(10, 20)], [(10, 20)]],
        "translate_x": [[(10, 10)], [(10, 30)]],
        "translate_y": [[(0, 20)], [(20, 20)]],
    }[name]
    near = np.abs(np.array(places) - np.array(expected)).max()
    assert near <= (0 if name != "rotate" else 1)
    assert torch.equal(operate(name, dot, 0.0, torch.tensor([1.0, -1.0])), dot)


def test_rand_augment_draws_every_operation_and_more_of_them_change_more():
    images = NOISE[:1].repeat(400, 1, 1, 1)
    weak, strong = (RandAugment(num_operations=1, magnitude=m)(images, generator()).float() for m in (3, 30))
    # The same draws: one in fourteen images stays as it is.
    assert 10 < (strong == images).flatten(1).all(dim=1).sum() < 60
    assert (strong - images).abs().mean() > 2 * (weak - images).abs().mean()
    mild = RandAugment(num_operations=2, magnitude=0)(NOISE[2:3].repeat(50, 1, 1, 1), generator())
    assert (mild == 77).all()
    grey = RandAugment(magnitude=20)(images[:, :1], generator())
    assert grey.shape == (400, 1, 9, 12)


# --- as options


def test_steps_are_spelled_by_name_and_come_back_from_what_is_written():
    spelled = ["crop", {"name": "crop", "padding": 2}, "flip", {"name": "colour", "hue": 0.1}, "rand_augment"]
    options = TrainOptions(augmentation=spelled)
    assert options.augmentation == (Crop(), Crop(padding=2), Flip(), Colour(hue=0.1), RandAugment())
    assert TrainOptions.model_validate_json(options.model_dump_json()) == options
    assert TrainOptions(augmentation="cutout").augmentation == (CutOut(),)
    assert TrainOptions(augmentation="crop_flip").model_dump()["augmentation"] == "crop_flip"


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        ("crop_flop", "no augmentation 'crop_flop'; did you mean 'crop_flip'"),
        (["colours"], "no augmentation 'colours'; did you mean 'colour'"),
        (["none"], "no augmentation 'none'; choose from"),
        (3, "'train.augmentation' is 3; a name or a list"),
        ([3], "'train.augmentation' holds 3; a name, or options"),
        ([{"padding": 3}], "a name, or options with a `name`"),
        ([{"name": "crop", "pading": 3}], "'crop' has no option 'pading'; did you mean 'padding'"),
        ([{"name": "crop", "padding": "much"}], "Option padding of the augmentation 'crop' is 'much': input should"),
        ([{"name": "crop", "padding": -1}], "Option padding of the augmentation 'crop' is -1; 0 to 1024"),
        ([{"name": "colour", "hue": 0.6}], "Option hue of the augmentation 'colour' is 0.6; 0 to 0.5"),
        ([{"name": "colour", "contrast": 2}], "Option contrast of .* is 2.0; 0 to 1"),
        ([{"name": "cutout", "side": 0}], "Option side of the augmentation 'cutout' is 0"),
        ([{"name": "resized_crop", "smallest": 1.5}], "Option smallest of .* is 1.5"),
        ([{"name": "rand_augment", "magnitude": 31}], "magnitude 31; 1 to 8 and 0 to 30"),
    ],
)
def test_a_wrong_augmentation_is_named(augmentation, words):
    files = {"all": {"path": "a.csv", "label": "y"}}
    with pytest.raises(InputError, match=words) as error:
        experiment_from(
            {"data": {"files": files, "rows": {"labelled": 9, "test": 9}}, "train": {"augmentation": augmentation}}
        )
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_training_with_steps_is_decided_by_the_seed():
    from overproof import distill

    images = NOISE.repeat(40, 1, 1, 1)
    probs = F.one_hot(torch.arange(4).repeat(40), 4).float()

    def losses(seed):
        train = TrainOptions(epochs=1, batch_size=32, augmentation=["flip", "colour", "cutout", "rand_augment"])
        few = images[:16]
        student = distill(
            "linear", images, probs, few, probs[:16].argmax(1), probs[:16], method="soft", train=train, seed=seed
        )
        return [record.loss for record in student.history]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_the_grey_of_an_image_is_its_luma_and_grey_images_are_their_own():
    colour = torch.tensor([100.0, 50.0, 200.0]).view(1, 3, 1, 1)
    assert grey_of(colour).item() == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 200)
    one = colour[:, :1]
    assert grey_of(one) is one
