"""Mixture of experts in the place of the feed-forward layer: router, experts, and what keeps them evenly used.

The router's softmax gives each token a weight for each expert; the token goes to the `top_k` best (Shazeer 2017, arXiv
1701.06538; Mixtral, arXiv 2401.04088). Knows no block around it, no loss that it is added to and no other member:
balance is a matter of one forward pass, and what must be known of a whole step goes through the Observer protocol.

Letters: N tokens (all of a forward pass), D width, H hidden, E experts, K experts of a token, P = N x K places.
"""

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.config import GATED, GPTConfig
from models.layers import activate


class Stacked(nn.Module):
    """One linear layer an expert: weight [E, out, in] and, where asked for, bias [E, out]."""

    def __init__(self, experts: int, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)  # as nn.Linear begins
        self.weight = nn.Parameter(torch.empty(experts, outputs, inputs))
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(experts, outputs)) if bias else None

    def each(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(weight [out, in], bias [out] or None) of each expert. By unbind: its gradient is one stack, where taking
        expert after expert would add up E tensors of the whole size."""
        weights = self.weight.unbind()
        return zip(weights, [None] * len(weights) if self.bias is None else self.bias.unbind(), strict=True)


class Experts(nn.Module):
    """Routed feed-forward layer, [B, T, D] -> [B, T, D].

    Parameters, as in the dense layer with an axis for the experts: `router.weight` [E, D], `gate_up.weight` [E, 2H, D]
    (the gate's H rows first, then up's; `up.weight` [E, H, D] where the activation has no gate), `down.weight`
    [E, D, H], biases [E, out] where the config has them. Expert e is slice e, a dense layer as it stands.

    Capacity C > 0: in training an expert takes at most ceil(C x P / E) places. All first choices come before any second
    choice, then rows in their order, then tokens in theirs (GShard's order, arXiv 2006.16668); what comes later gets
    nothing from that expert, so that the residual stream passes, and is counted in `dropped`. Evaluation drops none.

    After a forward pass in training mode: `aux` is the weighted balance and z-loss, summed over tokens, with its graph;
    `observed` [E + 1] the places asked of each expert and the dropped ones. After a step: `load` [E] and `dropped` are
    those of the whole step. `expert_bias` [E] (balance "bias") moves by `bias_rate` a step towards the experts that had
    less than the mean; it chooses the experts and does not weigh them (Wang 2024, arXiv 2408.15664).
    """

    gate_up: Stacked
    up: Stacked
    expert_bias: Tensor | None
    load: Tensor
    dropped: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config, self.activation = config.experts, config.activation
        E, D, H = config.experts.count, config.width, config.hidden
        self.router = nn.Linear(D, E, bias=False)
        if config.activation in GATED:
            self.gate_up = Stacked(E, D, 2 * H, config.bias)
        else:
            self.up = Stacked(E, D, H, config.bias)
        self.down = Stacked(E, H, D, config.bias)
        self.register_buffer("expert_bias", torch.zeros(E) if config.experts.balance == "bias" else None)
        self.register_buffer("load", torch.zeros(E), persistent=False)
        self.register_buffer("dropped", torch.zeros(()), persistent=False)
        self.observed: Tensor | None = None
        self.observed_size = E + 1
        self.aux: Tensor | None = None
        self.routed = 0  # tokens behind aux

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x_ND = x_BTD.flatten(0, 1)
        with torch.autocast(x_ND.device.type, enabled=False):  # a router in half precision is not stable (Switch)
            logits_NE = self.router(x_ND.to(self.router.weight.dtype))
        probabilities_NE = logits_NE.softmax(-1)
        biased = probabilities_NE if self.expert_bias is None else probabilities_NE + self.expert_bias
        chosen_NK = biased.detach().topk(self.config.top_k).indices
        weights_NK = probabilities_NE.gather(1, chosen_NK)
        if self.config.normalize:
            weights_NK = weights_NK / weights_NK.sum(1, keepdim=True)
        order, counts, loads_E = self._places(chosen_NK)
        if self.training:
            self.observed = torch.cat([loads_E, loads_E.new_tensor([chosen_NK.numel() - len(order)])]).float()
        self.aux = self._aux(logits_NE, probabilities_NE, loads_E) if self.training else None
        self.routed = len(logits_NE)
        tokens = order % len(x_ND)
        made = self._made(x_ND.index_select(0, tokens), counts)
        made = made * weights_NK.T.reshape(-1).index_select(0, order)[:, None]
        return torch.zeros_like(x_ND, dtype=made.dtype).index_add(0, tokens, made).view_as(x_BTD)

    def absorb(self, total: Tensor) -> None:
        """Take a step's sum [E + 1] of what was observed; with balance "bias", move the biases."""
        self.load.copy_(total[:-1])
        self.dropped.copy_(total[-1])
        if self.expert_bias is not None:
            loads = total[:-1].double()  # exact: E x load may pass 2^24
            self.expert_bias += self.config.bias_rate * (loads.sum() - len(loads) * loads).sign().float()

    def _places(self, chosen_NK: Tensor) -> tuple[Tensor, list[int], Tensor]:
        """(places by expert, how many each takes, how many were asked of each); place j x N + n is choice j of n."""
        flat = chosen_NK.T.reshape(-1)
        order = flat.argsort(stable=True)
        loads = torch.bincount(flat, minlength=self.config.count)
        if not (self.config.capacity and self.training):
            return order, loads.tolist(), loads
        most = math.ceil(self.config.capacity * len(flat) / self.config.count)
        begins = (loads.cumsum(0) - loads).repeat_interleave(loads)
        kept = torch.arange(len(flat), device=flat.device) - begins < most
        return order[kept], loads.clamp(max=most).tolist(), loads

    def _made(self, x_PD: Tensor, counts: list[int]) -> Tensor:
        """What the experts make of their tokens, which lie in x one expert behind the other."""
        inner = (self.gate_up if self.activation in GATED else self.up).each()
        made = []
        for x, into, out in zip(torch.split(x_PD, counts), inner, self.down.each(), strict=True):
            if len(x):
                made.append(F.linear(activate(self.activation, F.linear(x, *into)), *out))
        return torch.cat(made)

    def _aux(self, logits_NE: Tensor, probabilities_NE: Tensor, loads_E: Tensor) -> Tensor | None:
        """Balance loss E sum_e f_e P_e, f the experts' shares of all places and P their mean probability, one where all
        are even (Fedus 2021, arXiv 2101.03961, equation 4, over top_k choices), and z-loss, the mean square of the
        router's log-sum-exp (Zoph 2022, arXiv 2202.08906, equation 5); each with its weight, times N."""
        terms = []
        if self.config.balance == "loss" and self.config.balance_weight:
            even = (loads_E / loads_E.sum() * probabilities_NE.mean(0)).sum() * self.config.count
            terms.append(self.config.balance_weight * even)
        if self.config.z_weight:
            terms.append(self.config.z_weight * logits_NE.logsumexp(-1).square().mean())
        return len(logits_NE) * torch.stack(terms).sum() if terms else None


def aux_of(model: nn.Module) -> Tensor | None:
    """The sum of all layers' `aux` of the last forward pass, which are cleared; None where there is none.

    It is a sum over tokens, as a loss of `ExactStep` is: add it to the sum that is descended, and not to the one shown.
    """
    layers = [module for module in model.modules() if isinstance(module, Experts) and module.aux is not None]
    total = sum((layer.aux for layer in layers if layer.aux is not None), start=torch.zeros(())) if layers else None
    for layer in layers:
        layer.aux = None
    return total


def routing(models: Iterable[nn.Module]) -> dict[str, float]:
    """What the last step's routing was, for the log: the busiest expert's load over the mean of its layer, and the
    share of places that were dropped, over all layers. Empty for a dense model or before the first step."""
    modules = (module for model in models for module in model.modules())
    layers = [module for module in modules if isinstance(module, Experts) and module.load.any()]
    if not layers:
        return {}
    places = sum(float(layer.load.sum()) for layer in layers)
    return {
        "expert_load": max(float(layer.load.max() / layer.load.mean()) for layer in layers),
        "dropped_share": sum(float(layer.dropped) for layer in layers) / places,
    }
