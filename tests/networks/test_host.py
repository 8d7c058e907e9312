import torch

from oddshot.networks.host import differentiable, out_of_inference, plain_torch


def test_inference_mode_is_left_and_gradients_stay_off():
    for leaving in (plain_torch, differentiable):
        with torch.inference_mode():
            with leaving():
                assert not torch.ones(1).is_inference()
                assert not torch.is_grad_enabled()
                with torch.enable_grad(), leaving():
                    assert torch.is_grad_enabled()
            assert torch.is_inference_mode_enabled()
        with torch.no_grad(), leaving():
            assert not torch.is_grad_enabled()


def test_what_inference_mode_made_is_copied():
    with torch.inference_mode():
        made = torch.ones(2)
    copied = out_of_inference(made)
    assert not copied.is_inference()
    assert torch.equal(copied, made)
    assert out_of_inference(copied) is copied
