"""What training stages keep: optimiser moments by name, and the newest checkpoints."""

from pathlib import Path

import torch

from pipeline.pretrain.state import drop_old_checkpoints, moments, set_moments
from pipeline.stage import StageFolder


def trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_moments_go_out_and_come_back() -> None:
    model, optimizer = trained()
    found = {name: tensor.clone() for name, tensor in moments(model, optimizer, "a_optim").items()}
    assert len(found) == 3 * 4 and "a_optim.exp_avg.0.weight" in found
    optimizer.step()
    set_moments(model, optimizer, "a_optim", {**found, "other.exp_avg.0.weight": torch.zeros(2, 3)})
    back = moments(model, optimizer, "a_optim")
    assert back.keys() == found.keys()
    assert all(back[name].equal(tensor) for name, tensor in found.items())
    set_moments(model, optimizer, "a_optim", {})
    assert not moments(model, optimizer, "a_optim")


def test_the_two_newest_checkpoints_stay(tmp_path: Path) -> None:
    folder = StageFolder.open(str(tmp_path), "s", "f")
    for step in (9, 10, 11):
        for name in ("a.bin", "manifest.json"):
            folder.write_bytes(f"checkpoints/{step:04d}/{name}", b"x")
    drop_old_checkpoints(folder)
    assert {piece.split("/")[1] for piece in folder.pieces("checkpoints/")} == {"0010", "0011"}
