"""Bugs as they are really made, each beside its clean twin."""

from __future__ import annotations

from tests.testing.models import Plant

FOCAL = """
def {name}(self, output, target_B):
    p_B = torch.sigmoid(output.logit_B)
    each_B = F.binary_cross_entropy_with_logits(output.logit_B, target_B, reduction="none")
    return ((p_B - target_B).abs() ** 2 * each_B).mean()
"""
PADDED = """
length_B = lengths(cu)
longest = {longest}
padded = {zeros}
padded[segment_ids(cu), positions(cu)] = {tokens}
real_BL = torch.arange(longest) < length_B.unsqueeze(1)
"""
IDS = {"zeros": "torch.zeros(len(batch), longest, dtype=torch.long)", "tokens": "batch.history['item']"}
VECTORS = {"zeros": "event_TD.new_zeros(len(batch), longest, event_TD.shape[1])", "tokens": "event_TD"}
BATCH_LONGEST, FIXED = "max(int(length_B.max()), 1)", "50"

LOSS = [
    Plant(
        "a loss under another name",
        "static",
        "loss",
        {"METHODS": FOCAL.format(name="compute_loss")},
        {"METHODS": FOCAL.format(name="loss")},
        "compute_loss",
    ),
    Plant(
        "a module named loss",
        "static",
        "loss",
        {"INIT": "self.loss = nn.BCEWithLogitsLoss()"},
        {
            "INIT": "self.bce = nn.BCEWithLogitsLoss()",
            "METHODS": "def loss(self, output, target_B):\n    return self.bce(output.logit_B, target_B)",
        },
        "self.loss",
    ),
    Plant(
        "a detached loss",
        "static",
        "loss",
        {
            "METHODS": "def loss(self, output, target_B):\n"
            "    return super().loss(output, target_B).detach().requires_grad_()"
        },
        {"METHODS": "def loss(self, output, target_B):\n    return 2 * super().loss(output, target_B)"},
        "Planted.loss",
    ),
    Plant(
        "a number for a loss",
        "static",
        "loss",
        {
            "METHODS": "def loss(self, output, target_B):\n"
            "    return torch.tensor(super().loss(output, target_B).item(), requires_grad=True)"
        },
        {"METHODS": "def loss(self, output, target_B):\n    return super().loss(output, target_B).clamp(max=50)"},
    ),
    Plant(
        "an auxiliary loss of a part that is never called",
        "history",
        "loss",
        {
            "CLASSES": "class Interest(nn.Module):\n    def __init__(self, dim):\n        super().__init__()\n"
            "        self.map = nn.Linear(dim, dim)\n    def forward(self, x):\n        return x + self.map(x)\n"
            "    def auxiliary_loss(self, x):\n        return self.map(x).square().mean()",
            "INIT": "self.interest = Interest(dim)",
            "BEFORE": "event_TD = self.interest(event_TD)",
        },
        {
            "CLASSES": "class Interest(nn.Module):\n    def __init__(self, dim):\n        super().__init__()\n"
            "        self.map = nn.Linear(dim, dim)\n    def forward(self, x):\n        return x + self.map(x)\n"
            "    def auxiliary_loss(self, x):\n        return self.map(x).square().mean()",
            "INIT": "self.interest = Interest(dim)",
            "BEFORE": "event_TD = self.interest(event_TD)",
            "METHODS": "def loss(self, output, target_B):\n"
            "    return super().loss(output, target_B) + self.interest.auxiliary_loss(self.table.weight)",
        },
        "auxiliary_loss",
    ),
    Plant(
        "a part of the output whose loss is detached",
        "static",
        "loss",
        {
            "return Output(logit)": "return Output(logit, parts={'tower': h.mean(1)})",
            "METHODS": "def loss(self, output, target_B):\n"
            "    aux = F.binary_cross_entropy_with_logits(output.parts['tower'], target_B)\n"
            "    return super().loss(output, target_B) + 0.1 * aux.detach()",
        },
        {
            "return Output(logit)": "return Output(logit, parts={'tower': h.mean(1)})",
            "METHODS": "def loss(self, output, target_B):\n"
            "    aux = F.binary_cross_entropy_with_logits(output.parts['tower'], target_B)\n"
            "    return super().loss(output, target_B) + 0.1 * aux",
        },
        "tower",
    ),
    Plant(
        "a loss without the target",
        "static",
        "loss",
        {
            "METHODS": "def loss(self, output, target_B):\n    p_B = output.logit_B.sigmoid()\n"
            "    return (p_B * (1 - p_B)).mean()"
        },
        {
            "METHODS": "def loss(self, output, target_B):\n    p_B = output.logit_B.sigmoid()\n"
            "    return super().loss(output, target_B) + (p_B * (1 - p_B)).mean()"
        },
        "target_B",
    ),
    Plant(
        "a step of another trainer",
        "static",
        "loss",
        {"METHODS": "def training_step(self, batch, index):\n    return self(batch).logit_B.mean()"},
        {},
        "training_step",
    ),
    Plant(
        "a criterion in an attribute",
        "static",
        "loss",
        {
            "TOP": "def focal_loss(logit_B, target_B):\n    return (logit_B.sigmoid() - target_B).square().mean()",
            "INIT": "self.criterion = focal_loss",
        },
        {
            "TOP": "def focal_loss(logit_B, target_B):\n    return (logit_B.sigmoid() - target_B).square().mean()",
            "INIT": "self.criterion = focal_loss",
            "METHODS": "def loss(self, output, target_B):\n    return self.criterion(output.logit_B, target_B)",
        },
        "criterion",
    ),
]

LABEL = [
    Plant(
        "the label as one more number",
        "static",
        "label",
        {
            "INIT": "self.tower = MLP(width + 1, [16], 0.1)",
            "BEFORE": "x = torch.cat([x, batch.label_B.unsqueeze(1)], 1)",
        },
        {
            "INIT": "self.tower = MLP(width + 1, [16], 0.1)",
            "BEFORE": "x = torch.cat([x, torch.ones(len(batch), 1)], 1)",
        },
        "label",
    ),
    Plant(
        "the label while training",
        "static",
        "label",
        {"LOGIT": "logit = logit + (0.05 * (2 * batch.label_B - 1) if self.training else 0)"},
        {"LOGIT": "logit = logit + (0.05 * torch.randn_like(logit) if self.training else 0)"},
        "training",
    ),
    Plant(
        "clicks of an item counted on the way",
        "static",
        "label",
        {
            "INIT": "self.register_buffer('clicks', torch.zeros(1000))",
            "LOGIT": "code_B = batch.categorical_BF.sum(1) if batch.categorical_BF.shape[1] else batch.label_B.long()\n"
            "if self.training:\n    self.clicks.index_add_(0, code_B % 1000, batch.label_B)\n"
            "logit = logit + 0.1 * self.clicks[code_B % 1000]",
        },
        {
            "INIT": "self.register_buffer('rows', torch.zeros(1000))",
            "LOGIT": "code_B = batch.categorical_BF.sum(1)\n"
            "if self.training:\n    self.rows.index_add_(0, code_B % 1000, torch.ones(len(batch)))\n"
            "logit = logit + 0.1 * torch.log1p(self.rows[code_B % 1000])",
        },
    ),
    Plant(
        "the share of clicks in the batch",
        "history",
        "label",
        {"LOGIT": "logit = logit + batch.label_B.mean() - 0.5"},
        {"LOGIT": "logit = logit - 0.5"},
        "other rows",
    ),
    Plant(
        "the last batch's labels kept by the loss",
        "static",
        "label",
        {
            "INIT": "self.register_buffer('rate', torch.tensor(0.5))",
            "LOGIT": "logit = logit + self.rate",
            "METHODS": "def loss(self, output, target_B):\n"
            "    self.rate = 0.9 * self.rate + 0.1 * target_B.mean().detach()\n"
            "    return super().loss(output, target_B)",
        },
        {"INIT": "self.rate = nn.Parameter(torch.tensor(0.5))", "LOGIT": "logit = logit + self.rate"},
        "keeps",
    ),
    Plant(
        "the label through a number of the batch",
        "static",
        "label",
        {
            "x = self.fields(batch.categorical_BF, batch.numeric_BG)": "numeric_BG = batch.numeric_BG.nan_to_num(0.0)\n"
            "        numeric_BG = numeric_BG + 0.01 * batch.label_B.unsqueeze(1)\n"
            "        x = self.fields(batch.categorical_BF, numeric_BG)"
        },
        {
            "x = self.fields(batch.categorical_BF, batch.numeric_BG)": "numeric_BG = batch.numeric_BG.nan_to_num(0.0)\n"
            "        x = self.fields(batch.categorical_BF, numeric_BG)"
        },
        "its own label",
    ),
]

BATCH = [
    Plant(
        "batch norm without running statistics",
        "static",
        "batch",
        {"INIT": "self.norm = nn.BatchNorm1d(width, track_running_stats=False)", "BEFORE": "x = self.norm(x)"},
        {"INIT": "self.norm = nn.BatchNorm1d(width)", "BEFORE": "x = self.norm(x)"},
        "BatchNorm1d",
    ),
    Plant(
        "batch norm kept in training mode",
        "static",
        "batch",
        {
            "INIT": "self.norm = nn.BatchNorm1d(width)",
            "BEFORE": "x = self.norm(x) if len(x) > 1 else x",
            "METHODS": "def train(self, mode=True):\n    super().train(mode)\n    self.norm.train()\n    return self",
        },
        {
            "INIT": "self.norm = nn.BatchNorm1d(width)",
            "BEFORE": "x = self.norm(x) if len(x) > 1 or not self.training else x",
            "METHODS": "def train(self, mode=True):\n    super().train(mode)\n    return self",
        },
        "norm",
    ),
    Plant(
        "standardised by its own batch",
        "static",
        "batch",
        {"BEFORE": "x = (x - x.mean(0)) / (x.std(0, unbiased=False) + 1e-3)"},
        {"BEFORE": "x = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-3)"},
        "Planted.forward",
    ),
    Plant(
        "softmax over the whole packed batch",
        "history",
        "batch",
        {
            "return segment_mean(event_TD, batch.cu_seqlens)": "score_T = (event_TD * "
            "target_BD[segment_ids(batch.cu_seqlens)]).sum(1)\n"
            "        return segment_sum(score_T.softmax(0).unsqueeze(1) * event_TD, batch.cu_seqlens)"
        },
        {
            "return segment_mean(event_TD, batch.cu_seqlens)": "score_T = (event_TD * "
            "target_BD[segment_ids(batch.cu_seqlens)]).sum(1)\n"
            "        weight_T = segment_softmax(score_T, batch.cu_seqlens)\n"
            "        return segment_sum(weight_T.unsqueeze(1) * event_TD, batch.cu_seqlens)"
        },
    ),
    Plant(
        "rank within the batch",
        "static",
        "batch",
        {"LOGIT": "logit = logit + 0.1 * logit.argsort().argsort() / len(batch)"},
        {"LOGIT": "logit = logit + 0.1 * logit.sigmoid()"},
    ),
    Plant(
        "a sum over the batch, by its size",
        "static",
        "batch",
        {"AFTER": "h = h * (1 + 1 / len(batch))"},
        {"AFTER": "h = h * (1 + 1 / h.shape[1])"},
    ),
    Plant(
        "attention among the rows of a batch",
        "static",
        "batch",
        {
            "INIT": "self.mix = nn.MultiheadAttention(16, 2, batch_first=True)",
            "AFTER": "h = h + self.mix(h[None], h[None], h[None])[0][0]",
        },
        {
            "INIT": "self.mix = nn.MultiheadAttention(16, 2, batch_first=True)",
            "AFTER": "h = h + self.mix(h[:, None], h[:, None], h[:, None])[0][:, 0]",
        },
    ),
    Plant(
        "centred by the mean logit in evaluation alone",
        "static",
        "batch",
        {"LOGIT": "if not self.training:\n    logit = logit - logit.mean()"},
        {"LOGIT": "logit = logit - 0.1"},
    ),
    Plant(
        "events of the same user in the batch",
        "history",
        "batch",
        {
            "AFTER": "same_BB = (batch.categorical_BF[:, :1] == batch.categorical_BF[:, 0]).float()\n"
            "pooled_BD = same_BB @ pooled_BD / same_BB.sum(1, keepdim=True)"
        },
        {"AFTER": "pooled_BD = torch.eye(len(batch)) @ pooled_BD"},
    ),
]

GRADIENTS = [
    Plant(
        "a tower that is detached",
        "static",
        "gradients",
        {"INIT": "self.side = MLP(width, [16], 0.0)", "AFTER": "h = h + self.side(x).detach()"},
        {"INIT": "self.side = MLP(width, [16], 0.0)", "AFTER": "h = h + self.side(x)"},
        "side",
    ),
    Plant(
        "a tower without graph",
        "static",
        "gradients",
        {
            "INIT": "self.side = nn.Linear(width, 16)",
            "AFTER": "with torch.no_grad():\n    side = self.side(x)\nh = h + side",
        },
        {"INIT": "self.side = nn.Linear(width, 16)", "AFTER": "side = self.side(x)\nh = h + side"},
        "side",
    ),
    Plant(
        "layers in a list",
        "static",
        "gradients",
        {
            "INIT": "self.more = [nn.Linear(16, 16) for _ in range(2)]",
            "AFTER": "for layer in self.more:\n    h = h + layer(h)",
        },
        {
            "INIT": "self.more = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))",
            "AFTER": "for layer in self.more:\n    h = h + layer(h)",
        },
        "self.more",
    ),
    Plant(
        "a layer that is made and not used",
        "static",
        "gradients",
        {"INIT": "self.norm = nn.LayerNorm(16)"},
        {"INIT": "self.norm = nn.LayerNorm(16)", "AFTER": "h = self.norm(h)"},
        "norm",
    ),
    Plant(
        "a layer that one setting alone uses",
        "static",
        "gradients",
        {
            "SETTINGS": 'deep: bool = Field(False, description="One more layer.")',
            "INIT": "self.deep = config.deep\nself.more = nn.Linear(16, 16)",
            "AFTER": "h = self.more(h) if self.deep else h",
        },
        {
            "SETTINGS": 'deep: bool = Field(False, description="One more layer.")',
            "INIT": "self.more = nn.Linear(16, 16) if config.deep else nn.Identity()",
            "AFTER": "h = self.more(h)",
        },
        "deep=True",
    ),
    Plant(
        "a tower whose last layer and scale start at zero",
        "static",
        "gradients",
        {
            "INIT": "self.side = nn.Linear(width, 16)\nself.scale = nn.Parameter(torch.zeros(16))\n"
            "nn.init.zeros_(self.side.weight)\nnn.init.zeros_(self.side.bias)",
            "AFTER": "h = h + self.scale * self.side(x)",
        },
        {
            "INIT": "self.side = nn.Linear(width, 16)\nself.scale = nn.Parameter(torch.zeros(16))",
            "AFTER": "h = h + self.scale * self.side(x)",
        },
        "side",
    ),
    Plant(
        "a branch whose gate is closed for good",
        "gated",
        "gradients",
        {
            "return torch.sigmoid(self.gate_net(torch.cat([static_BD, sequential_BD], 1)))": "return "
            "torch.zeros(len(static_BD), 1)"
        },
        {},
        "gate_net",
    ),
    Plant(
        "target attention whose query is rounded",
        "history",
        "gradients",
        {
            "INIT": "self.query = nn.Linear(dim, dim)",
            "BEFORE": "target_BD = target_BD + self.query(target_BD).round().sign()",
        },
        {"INIT": "self.query = nn.Linear(dim, dim)", "BEFORE": "target_BD = target_BD + self.query(target_BD).tanh()"},
        "query",
    ),
]

PADDING = [
    Plant(
        "ids padded to the longest of the batch, averaged with the padding",
        "history",
        "padding",
        {
            "BEFORE": PADDED.format(longest=BATCH_LONGEST, **IDS),
            "AFTER": "pooled_BD = self.table(padded.view(-1, 1)).view(len(batch), longest, -1).mean(1)",
        },
        {
            "BEFORE": PADDED.format(longest=BATCH_LONGEST, **IDS),
            "AFTER": "vector_BLD = self.table(padded.view(-1, 1)).view(len(batch), longest, -1) * "
            "real_BL.unsqueeze(2)\n"
            "pooled_BD = vector_BLD.sum(1) / length_B.clamp(min=1).unsqueeze(1)",
        },
    ),
    Plant(
        "ids padded to fifty, the padding's vector in the softmax",
        "history",
        "padding",
        {
            "BEFORE": PADDED.format(longest=FIXED, **IDS),
            "AFTER": "vector_BLD = self.table(padded.view(-1, 1)).view(len(batch), longest, -1)\n"
            "weight_BL1 = (vector_BLD @ target_BD.unsqueeze(2)).softmax(1)\n"
            "pooled_BD = (weight_BL1 * vector_BLD).sum(1)",
        },
        {
            "BEFORE": PADDED.format(longest=FIXED, **IDS),
            "AFTER": "vector_BLD = self.table(padded.view(-1, 1)).view(len(batch), longest, -1)\n"
            "score_BL1 = (vector_BLD @ target_BD.unsqueeze(2)).masked_fill(~real_BL.unsqueeze(2), -1e9)\n"
            "pooled_BD = (score_BL1.softmax(1) * real_BL.unsqueeze(2) * vector_BLD).sum(1)",
        },
        "table.weight",
    ),
    Plant(
        "vectors padded to fifty, zeros in the softmax",
        "history",
        "padding",
        {
            "BEFORE": PADDED.format(longest=FIXED, **VECTORS),
            "AFTER": "weight_BL1 = (padded @ target_BD.unsqueeze(2)).softmax(1)\n"
            "pooled_BD = (weight_BL1 * padded).sum(1)",
        },
        {
            "BEFORE": PADDED.format(longest=FIXED, **VECTORS),
            "AFTER": "pooled_BD = padded.sum(1) / length_B.clamp(min=1).unsqueeze(1)",
        },
        "(64, 50, 8)",
    ),
    Plant(
        "the last step of a padded recurrence",
        "history",
        "padding",
        {
            "INIT": "self.gru = nn.GRU(dim, dim, batch_first=True)",
            "BEFORE": PADDED.format(longest=BATCH_LONGEST, **VECTORS),
            "AFTER": "pooled_BD = self.gru(padded)[0][:, -1]",
        },
        {
            "INIT": "self.gru = nn.GRU(dim, dim, batch_first=True)",
            "BEFORE": PADDED.format(longest=BATCH_LONGEST, **VECTORS),
            "AFTER": "state_BLD = self.gru(padded)[0]\n"
            "last_BD = state_BLD[torch.arange(len(batch)), (length_B - 1).clamp(min=0)]\n"
            "pooled_BD = last_BD * (length_B > 0).unsqueeze(1)",
        },
    ),
    Plant(
        "a Transformer without its padding mask",
        "history",
        "padding",
        {
            "INIT": "self.layer = nn.TransformerEncoderLayer(dim, 1, 16, dropout=0.0, batch_first=True)",
            "BEFORE": PADDED.format(longest="1 + " + BATCH_LONGEST, **VECTORS),
            "AFTER": "padded[:, -1] = target_BD\npooled_BD = self.layer(padded)[:, -1]",
        },
        {
            "INIT": "self.layer = nn.TransformerEncoderLayer(dim, 1, 16, dropout=0.0, batch_first=True)",
            "BEFORE": PADDED.format(longest="1 + " + BATCH_LONGEST, **VECTORS),
            "AFTER": "padded[:, -1] = target_BD\nreal_BL[:, -1] = True\n"
            "pooled_BD = self.layer(padded, src_key_padding_mask=~real_BL)[:, -1]",
        },
    ),
    Plant(
        "each history padded to fifty by itself, zeros in the softmax",
        "history",
        "padding",
        {
            "BEFORE": "parts = event_TD.split(lengths(cu).tolist())\n"
            "padded = torch.stack([F.pad(part, (0, 0, 0, 50 - len(part))) for part in parts])",
            "AFTER": "pooled_BD = (padded @ target_BD.unsqueeze(2)).softmax(1).mul(padded).sum(1)",
        },
        {
            "BEFORE": "parts = event_TD.split(lengths(cu).tolist())\n"
            "padded = torch.stack([F.pad(part, (0, 0, 0, 50 - len(part))) for part in parts])",
            "AFTER": "pooled_BD = padded.sum(1) / lengths(cu).clamp(min=1).unsqueeze(1)",
        },
    ),
]

LATER = [
    Plant(
        "the event behind the last",
        "history",
        "later",
        {
            "return segment_mean(event_TD, batch.cu_seqlens)": "index_B = "
            "batch.cu_seqlens[1:].long().clamp(max=max(len(event_TD) - 1, 0))\n"
            "        return event_TD[index_B] if len(event_TD) else torch.zeros_like(target_BD)"
        },
        {"return segment_mean(event_TD, batch.cu_seqlens)": "return segment_last(event_TD, batch.cu_seqlens)"},
        "cu_seqlens",
    ),
    Plant(
        "each event joined by its successor",
        "history",
        "later",
        {"BEFORE": "event_TD = event_TD + 0.5 * event_TD.roll(-1, 0)"},
        {
            "BEFORE": "first_T = (positions(cu) == 0).unsqueeze(1)\n"
            "event_TD = event_TD + 0.5 * event_TD.roll(1, 0).masked_fill(first_T, 0.0)"
        },
    ),
    Plant(
        "a convolution that looks both ways over the packed batch",
        "history",
        "later",
        {
            "INIT": "self.conv = nn.Conv1d(dim, dim, 3, padding=1)",
            "BEFORE": "event_TD = self.conv(event_TD.T[None])[0].T if len(event_TD) else event_TD",
        },
        {
            "INIT": "self.filter = nn.Parameter(0.3 * torch.randn(dim, 3))",
            "BEFORE": "event_TD = causal_conv1d(event_TD, self.filter, None, cu)",
            "METHODS": "def multiply_adds_per_event(self):\n    return self.filter.numel()",
        },
    ),
    Plant(
        "an attention mask off by one",
        "history",
        "later",
        {
            "BEFORE": "place_T, row_T = torch.arange(len(event_TD)), segment_ids(cu)\n"
            "start_T = cu[:-1].long()[row_T]\n"
            "seen_TT = (place_T[None] >= start_T[:, None]) & (place_T[None] <= place_T[:, None] + 1)\n"
            "score_TT = (event_TD @ event_TD.T).masked_fill(~seen_TT, -1e9)\n"
            "event_TD = score_TT.softmax(1) @ event_TD if len(event_TD) else event_TD"
        },
        {
            "BEFORE": "place_T, row_T = torch.arange(len(event_TD)), segment_ids(cu)\n"
            "start_T = cu[:-1].long()[row_T]\n"
            "seen_TT = (place_T[None] >= start_T[:, None]) & (place_T[None] <= place_T[:, None])\n"
            "score_TT = (event_TD @ event_TD.T).masked_fill(~seen_TT, -1e9)\n"
            "event_TD = score_TT.softmax(1) @ event_TD if len(event_TD) else event_TD"
        },
    ),
    Plant(
        "a sum from behind",
        "history",
        "later",
        {
            "return segment_mean(event_TD, batch.cu_seqlens)": "behind = "
            "torch.cat([event_TD.flip(0).cumsum(0).flip(0), torch.zeros(1, event_TD.shape[1])])\n"
            "        return behind[batch.cu_seqlens[:-1].long()].tanh()"
        },
        {"return segment_mean(event_TD, batch.cu_seqlens)": "return segment_sum(event_TD, batch.cu_seqlens).tanh()"},
    ),
]

_CAUSAL = {
    'network = "Planted"': 'network = "Planted"\n    causal = property(lambda self: True)',
    "return segment_mean(event_TD, batch.cu_seqlens)": "if batch.slices is None:\n"
    "            return segment_mean(event_TD, batch.cu_seqlens)\n"
    "        return slice_mean(event_TD, batch.slices.begin_B, batch.slices.end_B)",
}
CAUSAL = [
    Plant(
        "a log read backwards by what calls itself causal",
        "history",
        "causal",
        {**_CAUSAL, "BEFORE": "event_TD = event_TD + 0.5 * event_TD.roll(-1, 0)"},
        {
            **_CAUSAL,
            "BEFORE": "first_T = (positions(cu) == 0).unsqueeze(1)\n"
            "event_TD = event_TD + 0.5 * event_TD.roll(1, 0).masked_fill(first_T, 0.0)",
        },
    ),
    Plant(
        "slices that hold one event too many",
        "history",
        "causal",
        {
            **_CAUSAL,
            "AFTER": "if batch.slices is not None and len(event_TD):\n"
            "    pooled_BD = pooled_BD + event_TD[batch.slices.end_B.clamp(max=len(event_TD) - 1)]",
        },
        {**_CAUSAL, "AFTER": "pooled_BD = 2 * pooled_BD"},
    ),
]

STATE = [
    Plant(
        "a cache by the size of the batch",
        "static",
        "state",
        {
            "INIT": "self.cache = {}",
            "AFTER": "if not self.training:\n    h = h + self.cache.setdefault(len(batch), h.detach().mean(0))",
        },
        {
            "INIT": "self.cache = {}",
            "AFTER": "h = h + self.cache.setdefault(h.shape[1], torch.linspace(0, 1, h.shape[1]))",
        },
        "cache",
    ),
    Plant(
        "a running mean that evaluation moves",
        "static",
        "state",
        {
            "INIT": "self.register_buffer('running', torch.zeros(16))",
            "AFTER": "with torch.no_grad():\n    self.running.mul_(0.9).add_(0.1 * h.mean(0))\nh = h - self.running",
        },
        {
            "INIT": "self.register_buffer('running', torch.zeros(16))",
            "AFTER": "if self.training:\n    with torch.no_grad():\n"
            "        self.running.mul_(0.9).add_(0.1 * h.mean(0))\n"
            "h = h - self.running",
        },
        "running",
    ),
    Plant(
        "answers kept by row",
        "history",
        "state",
        {
            "TOP": "_KNOWN = {}",
            "LOGIT": "if not self.training:\n    keys = [(id(self), int(r)) for r in batch.row_id_B]\n"
            "    logit = torch.stack([_KNOWN.setdefault(k, v) for k, v in zip(keys, logit)])",
        },
        {},
    ),
    Plant(
        "the state of the last batch's end",
        "history",
        "state",
        {
            "INIT": "self.state = None",
            "AFTER": "if self.state is not None:\n    pooled_BD = pooled_BD + 0.1 * self.state\n"
            "self.state = pooled_BD.detach().mean(0)",
        },
        {"AFTER": "pooled_BD = pooled_BD + 0.1 * pooled_BD.mean(1, keepdim=True)"},
        "self.state",
    ),
    Plant(
        "a list that grows",
        "static",
        "state",
        {"INIT": "self.seen = []", "LOGIT": "self.seen.append(logit.detach())"},
        {"INIT": "self.seen = []", "LOGIT": "self.seen[:] = [logit.detach()]"},
        "seen",
    ),
    Plant(
        "a list of the class",
        "static",
        "state",
        {
            "METHODS": "memory = []",
            "LOGIT": "self.memory.append(logit.detach().mean())\nlogit = logit - 0.1 * self.memory[0]",
        },
        {"METHODS": "memory = [0.5]", "LOGIT": "logit = logit - 0.1 * self.memory[0]"},
        "Planted.memory",
    ),
    Plant(
        "a first batch that sets the scale",
        "static",
        "state",
        {
            "INIT": "self.scale = None",
            "AFTER": "if self.scale is None:\n    self.scale = h.detach().std() + 1\nh = h / self.scale",
        },
        {"INIT": "self.scale = None", "AFTER": "if self.scale is None:\n    self.scale = 2.0\nh = h / self.scale"},
        "scale",
    ),
]

CHANCE = [
    Plant(
        "noise when evaluating",
        "static",
        "answers",
        {"AFTER": "h = h + 0.01 * torch.rand_like(h)"},
        {"AFTER": "h = h + (0.01 * torch.rand_like(h) if self.training else 0)"},
    ),
    Plant(
        "functional dropout that knows no evaluation",
        "static",
        "answers",
        {"AFTER": "h = F.dropout(h, 0.1)"},
        {"AFTER": "h = F.dropout(h, 0.1, training=self.training)"},
    ),
    Plant(
        "noise of numpy while training",
        "static",
        "seed",
        {"AFTER": "if self.training:\n    h = h * float(np.random.uniform(0.9, 1.1))"},
        {"AFTER": "if self.training:\n    h = h * float(torch.empty(()).uniform_(0.9, 1.1))"},
        "numpy",
    ),
    Plant(
        "events dropped by Python's random",
        "history",
        "seed",
        {"BEFORE": "if self.training and random.random() < 0.5:\n    event_TD = 0.5 * event_TD"},
        {"BEFORE": "if self.training and float(torch.rand(())) < 0.5:\n    event_TD = 0.5 * event_TD"},
        "random",
    ),
    Plant("a seed of its own", "static", "seed", {"INIT": "torch.manual_seed(0)"}, {}, "manual_seed"),
    Plant(
        "a projection that is drawn and not saved",
        "static",
        "answers",
        {"INIT": "self.projection = torch.randn(width, width) / width**0.5", "BEFORE": "x = x @ self.projection"},
        {
            "INIT": "self.register_buffer('projection', torch.randn(width, width) / width**0.5)",
            "BEFORE": "x = x @ self.projection",
        },
        "projection",
    ),
    Plant(
        "a hash of the model's number",
        "static",
        "answers",
        {"AFTER": "h = h * (1 + (hash(id(self)) // 16 % 1009) / 1009)"},
        {"AFTER": "h = h * (1 + (zlib.crc32(b'self') % 1009) / 1009)"},
    ),
    Plant(
        "a count of steps that is not saved",
        "static",
        "resume",
        {
            "INIT": "self.steps = 0",
            "AFTER": "if self.training:\n    self.steps += 1\n    h = h * (1 + 1 / (1 + self.steps))",
        },
        {
            "INIT": "self.register_buffer('steps', torch.zeros(()))",
            "AFTER": "if self.training:\n    self.steps += 1\n    h = h * (1 + 1 / (1 + float(self.steps)))",
        },
        "steps",
    ),
    Plant(
        "the order of a set of names",
        "static",
        "process",
        {
            "INIT": "scale = {n: 1 + i for i, n in enumerate({'user', 'item', 'category', 'brand', 'price', 'age'})}\n"
            "self.scale = scale['user'] + 10 * scale['item'] + 100 * scale['brand']",
            "AFTER": "h = h * self.scale / 100",
        },
        {
            "INIT": "scale = {n: 1 + i for i, n in enumerate(sorted({'user', 'item', 'category', 'brand', "
            "'price', 'age'}))}\n"
            "self.scale = scale['user'] + 10 * scale['item'] + 100 * scale['brand']",
            "AFTER": "h = h * self.scale / 100",
        },
    ),
]

READING = [
    Plant(
        "the user's number in the log",
        "static",
        "bookkeeping",
        {"LOGIT": "logit = logit + 0.1 * (batch.user_B % 2)"},
        {"LOGIT": "logit = logit + 0.1"},
        "user_B",
    ),
    Plant(
        "the place in the file",
        "history",
        "bookkeeping",
        {"LOGIT": "logit = logit + torch.sin(batch.row_id_B.float())"},
        {},
        "row_id_B",
    ),
    Plant(
        "numbers clipped in the batch itself",
        "static",
        "bookkeeping",
        {"x = self.fields(": "batch.numeric_BG.clamp_(-1, 1)\n        x = self.fields("},
        {
            "x = self.fields(batch.categorical_BF, batch.numeric_BG)": "x = self.fields(batch.categorical_BF, "
            "batch.numeric_BG.clamp(-1, 1))"
        },
        "numeric_BG",
    ),
    Plant(
        "declares no history and reads one",
        "history",
        "history",
        {
            'network = "Planted"': 'network = "Planted"\n    reads_history = False',
            'event_TD = self.table(batch.history["item"].unsqueeze(1)).squeeze(1)': "codes_T = "
            'batch.history.get("item", torch.zeros(0, dtype=torch.long))\n'
            "        event_TD = self.table(codes_T.unsqueeze(1)).squeeze(1)",
        },
        {},
        "reads_history",
    ),
    Plant(
        "declares histories and never reads one",
        "static",
        "history",
        {"reads_history = False": "reads_history = True"},
        {},
        "reads_history",
    ),
    Plant(
        "a mean over no events",
        "history",
        "inputs",
        {
            "return segment_mean(event_TD, batch.cu_seqlens)": "return segment_sum(event_TD, batch.cu_seqlens) "
            "/ lengths(batch.cu_seqlens).unsqueeze(1)"
        },
        {},
        "histor",
    ),
    Plant(
        "missing numbers as they come",
        "static",
        "inputs",
        {
            "INIT": "self.tower = MLP(width + len(features.numeric), [16], 0.1)",
            "BEFORE": "x = torch.cat([x, batch.numeric_BG], 1)",
        },
        {
            "INIT": "self.tower = MLP(width + len(features.numeric), [16], 0.1)",
            "BEFORE": "x = torch.cat([x, batch.numeric_BG.nan_to_num()], 1)",
        },
        "NaN",
    ),
    Plant(
        "a setting without a word",
        "static",
        "settings",
        {"SETTINGS": "extra: int = 3"},
        {"SETTINGS": 'extra: int = Field(3, description="Not used.")'},
        "extra",
    ),
    Plant(
        "a width without a limit",
        "static",
        "settings",
        {
            "SETTINGS": 'more: int = Field(4, description="Width.")',
            "INIT": "self.more = nn.Linear(16, config.more)",
            "AFTER": "h = h + self.more(h).mean(1, keepdim=True)",
        },
        {
            "SETTINGS": 'more: int = Field(4, ge=1, le=64, description="Width.")',
            "INIT": "self.more = nn.Linear(16, config.more)",
            "AFTER": "h = h + self.more(h).mean(1, keepdim=True)",
        },
        "more",
    ),
    Plant(
        "a product that the counter does not see",
        "static",
        "cost",
        {"INIT": "self.vector = nn.Parameter(torch.randn(16))", "LOGIT": "logit = logit + torch.mv(h, self.vector)"},
        {
            "INIT": "self.vector = nn.Parameter(torch.randn(16))",
            "LOGIT": "logit = logit + (h @ self.vector.unsqueeze(1)).squeeze(1)",
        },
        "mv",
    ),
    Plant(
        "memory as large as the batch squared",
        "static",
        "memory",
        {
            "AFTER": "pair_BB = (h.unsqueeze(1) - h.unsqueeze(0)).square().sum(2)\n"
            "h = h + 0 * pair_BB.diagonal().unsqueeze(1)"
        },
        {},
        "squared",
    ),
]

GATES = [
    Plant(
        "a gate that is no weight",
        "gated",
        "gate",
        {"return torch.sigmoid(self.gate_net(": "return (1 + self.gate_net("},
        {},
        "[0, 1]",
    ),
    Plant(
        "an answer with another gate than is shown",
        "gated",
        "gate",
        {
            "if gate_BK is None else gate_BK": "** 2 if gate_BK is None else gate_BK",
        },
        {"ANSWER": "g = g.clamp(0, 1)"},
        "answer",
    ),
    Plant(
        "a gate by the batch",
        "gated",
        "batch",
        {
            "return torch.sigmoid(self.gate_net(torch.cat([static_BD, sequential_BD], 1)))": "return "
            "torch.softmax(self.gate_net(torch.cat([static_BD, sequential_BD], 1)), 0)"
        },
        {},
    ),
    Plant(
        "a gate that cannot be replaced",
        "gated",
        "gate",
        {"FUSE": "g = self.gate(static_BD, sequential_BD)"},
        {},
        "fuse",
    ),
    Plant(
        "a branch that stays at g = 0",
        "gated",
        "gate",
        {"ANSWER": "static_BD = static_BD + 0.1 * sequential_BD"},
        {},
        "g = 0",
    ),
    Plant("a gate that is not declared", "gated", "gate", {'return ""': 'return "has no gate"'}, {}, "lacks_gate"),
]

STEP = [
    Plant(
        "the number of threads set while building",
        "static",
        "builds",
        {"INIT": "torch.set_num_threads(2)"},
        {"INIT": "torch.get_num_threads()"},
        "set_num_threads(2)",
    ),
    Plant(
        "a default type for everybody",
        "static",
        "builds",
        {"BEFORE": "torch.set_default_dtype(torch.float64)"},
        {"BEFORE": "torch.get_default_dtype()"},
        "set_default_dtype",
    ),
    Plant(
        "a setting that is changed while building",
        "static",
        "builds",
        {
            "self.fields = FieldVectors(features, config.dim": "config.dim *= 2\n"
            "        self.fields = FieldVectors(features, config.dim"
        },
        {
            "self.fields = FieldVectors(features, config.dim": "config = type(config)(dim=2 * config.dim)\n"
            "        self.fields = FieldVectors(features, config.dim"
        },
        "changes dim",
    ),
    Plant(
        "a layer that the first batch makes",
        "static",
        "builds",
        {"INIT": "self.more = nn.LazyLinear(16)", "AFTER": "h = self.more(h)"},
        {"INIT": "self.more = nn.Linear(16, 16)", "AFTER": "h = self.more(h)"},
        "more.weight",
    ),
    Plant(
        "a sparse embedding of torch's",
        "static",
        "builds",
        {
            "INIT": "self.bias = nn.Embedding(100, 16, sparse=True)",
            "AFTER": "h = h + self.bias(batch.categorical_BF % 100).sum(1)",
        },
        {"INIT": "self.bias = nn.Embedding(100, 16)", "AFTER": "h = h + self.bias(batch.categorical_BF % 100).sum(1)"},
        "sparse",
    ),
    Plant(
        "an optimiser of its own",
        "static",
        "builds",
        {
            "METHODS": "def loss(self, output, target_B):\n    value = super().loss(output, target_B)\n"
            "    value.backward(retain_graph=True)\n    torch.optim.SGD(self.parameters(), 0.01).step()\n"
            "    return value"
        },
        {"METHODS": "def loss(self, output, target_B):\n    return super().loss(output, target_B)"},
    ),
]

IDS = [
    Plant(
        "ids of half precision",
        "static",
        "ids",
        {"x = self.fields(batch.categorical_BF,": "x = self.fields(batch.categorical_BF.half().long(),"},
        {"x = self.fields(batch.categorical_BF,": "x = self.fields(batch.categorical_BF.double().long(),"},
        "70,000 codes of user",
    ),
    Plant(
        "the first field taken for the item",
        "history",
        "ids",
        {'self.item = list(features.categorical).index("item")': "self.item = 0"},
        {
            'self.item = list(features.categorical).index("item")': "names = list(features.categorical)\n"
            "        self.item = names.index(features.item)"
        },
        "codes of user",
    ),
    Plant(
        "a cross whose product leaves 32 bits",
        "static",
        "ids",
        {
            "INIT": "self.cross = nn.Embedding(1000, 16)",
            "AFTER": "crossed_B = (batch.categorical_BF.int() * 20_011).sum(1)\n"
            "h = h + self.cross(torch.fmod(crossed_B.int() * 1_009, 1000).long())",
        },
        {
            "INIT": "self.cross = nn.Embedding(1000, 16)",
            "AFTER": "h = h + self.cross((batch.categorical_BF * 20_011).sum(1) * 1_009 % 1000)",
        },
    ),
]

SUMS = "def loss(self, output, target_B):\n    return {}"
EACH = "F.binary_cross_entropy_with_logits(output.logit_B, target_B, {})"

WRONG_LOSS = [
    Plant(
        "a sum over the rows",
        "static",
        "loss",
        {"METHODS": SUMS.format(EACH.format("reduction='sum'") + " + 1e-3 * self.out.weight.square().sum()")},
        {"METHODS": SUMS.format(EACH.format("reduction='mean'") + " + 1e-3 * self.out.weight.square().sum()")},
        "sum over the rows",
    ),
    Plant(
        "the mean times the rows",
        "static",
        "loss",
        {"METHODS": SUMS.format("super().loss(output, target_B) * len(target_B)")},
        {"METHODS": SUMS.format("super().loss(output, target_B) + 0.1 * torch.logsumexp(output.logit_B, 0)")},
        "sum over the rows",
    ),
    Plant(
        "the loss of no click",
        "static",
        "loss",
        {"METHODS": SUMS.format("super().loss(output, 1 - target_B)")},
        {"METHODS": SUMS.format("F.binary_cross_entropy_with_logits(-output.logit_B, 1 - target_B)")},
        "opposite",
    ),
    Plant(
        "clicks weighed where a target is exactly 1",
        "static",
        "loss",
        {"METHODS": SUMS.format(EACH.format("weight=torch.where(target_B == 1, 5.0, 1.0)"))},
        {"METHODS": SUMS.format(EACH.format("weight=torch.where(target_B > 0.5, 5.0, 1.0)"))},
        "label_smoothing",
    ),
    Plant(
        "a loss of clicks alone",
        "static",
        "loss",
        {"METHODS": SUMS.format("F.softplus(-output.logit_B[target_B > 0.5]).mean()")},
        {"METHODS": SUMS.format("super().loss(output, target_B) + F.softplus(-output.logit_B[target_B > 0.5]).mean()")},
        "without a click",
    ),
    Plant(
        "a probability in the place of its log-odds",
        "static",
        "loss",
        {"return Output(logit)": "return Output(torch.sigmoid(logit))"},
        {"return Output(logit)": "return Output(4 * torch.tanh(logit))"},
        "log-odds",
    ),
    Plant(
        "logits of half precision",
        "static",
        "inputs",
        {"return Output(logit)": "return Output(logit.bfloat16())"},
        {"return Output(logit)": "return Output(logit.double().float())"},
        "bfloat16",
    ),
]

KEPT = [
    Plant(
        "a bias of the row's number while training",
        "static",
        "bookkeeping",
        {
            "INIT": "self.bias = nn.Embedding(2000, 1)",
            "LOGIT": "if self.training:\n    logit = logit + self.bias(batch.row_id_B % 2000).squeeze(1)",
        },
        {
            "INIT": "self.bias = nn.Embedding(2000, 1)",
            "LOGIT": "if self.training:\n    logit = logit + self.bias(torch.arange(len(batch)) % 2000).squeeze(1)",
        },
        "While training the logit reads batch.row_id_B",
    ),
    Plant(
        "a running loss with its graph",
        "static",
        "state",
        {
            "INIT": "self.running = 0.0",
            "METHODS": "def loss(self, output, target_B):\n    value = super().loss(output, target_B)\n"
            "    self.running = 0.9 * self.running + 0.1 * value\n    return value",
        },
        {
            "INIT": "self.running = 0.0",
            "METHODS": "def loss(self, output, target_B):\n    value = super().loss(output, target_B)\n"
            "    self.running = 0.9 * self.running + 0.1 * value.item()\n    return value",
        },
        "self.running keeps the graph",
    ),
    Plant(
        "losses kept in a list",
        "static",
        "state",
        {
            "INIT": "self.losses = []",
            "METHODS": "def loss(self, output, target_B):\n    self.losses.append(super().loss(output, target_B))\n"
            "    return self.losses[-1]",
        },
        {
            "INIT": "self.losses = []",
            "METHODS": "def loss(self, output, target_B):\n    self.losses = [super().loss(output, target_B)]\n"
            "    return self.losses[-1]",
        },
        "self.losses grows with every batch of training",
    ),
    Plant(
        "one hook more with every batch",
        "static",
        "state",
        {"BEFORE": "self.tower.register_forward_hook(lambda *_: None)"},
        {"BEFORE": "self.tower.register_forward_hook(lambda *_: None).remove()"},
        "tower._forward_hooks",
    ),
    Plant(
        "a tower that forward puts into evaluation",
        "static",
        "state",
        {"BEFORE": "self.tower.eval()"},
        {"BEFORE": "self.tower.train(self.training)"},
        "forward puts tower",
    ),
    Plant(
        "one mask for all steps",
        "static",
        "seed",
        {
            "AFTER": "if self.training:\n"
            "    h = 2 * h * (torch.rand(h.shape, generator=torch.Generator().manual_seed(7)) > 0.5)"
        },
        {"AFTER": "if self.training:\n    h = 2 * h * (torch.rand(h.shape) > 0.5)"},
        "torch.rand",
    ),
    Plant(
        "weights drawn by a generator of their own",
        "static",
        "seed",
        {
            "INIT": "self.side = nn.Linear(16, 16)\n"
            "nn.init.normal_(self.side.weight, generator=torch.Generator().manual_seed(7))",
            "AFTER": "h = self.side(h)",
        },
        {
            "INIT": "self.side = nn.Linear(16, 16)\nnn.init.normal_(self.side.weight, generator=torch.Generator()"
            ".manual_seed(int(torch.randint(2**31, ()))))",
            "AFTER": "h = self.side(h)",
        },
        "generator of its own",
    ),
    Plant(
        "a factor beside weights that are shared",
        "static",
        "weights",
        {
            "INIT": "self.one = nn.Linear(16, 16)\nself.two = nn.Linear(16, 16)\n"
            "self.shared = {'weight': self.one.weight}\nself.two.weight = self.one.weight\nself.scale = torch.rand(())",
            "AFTER": "h = self.two(torch.relu(self.one(h))) * self.scale",
        },
        {
            "INIT": "self.one = nn.Linear(16, 16)\nself.two = nn.Linear(16, 16)\nself.two.weight = self.one.weight",
            "AFTER": "h = self.two(torch.relu(self.one(h)))",
        },
    ),
]

NOTED = [
    Plant(
        "weights that numpy draws",
        "static",
        "seed",
        {
            "INIT": "self.side = nn.Parameter(torch.tensor(np.random.default_rng(7).normal(size=(16, 16))).float())",
            "AFTER": "h = h @ self.side",
        },
        {
            "INIT": "self.side = nn.Parameter(torch.sin(torch.arange(256.0) / 3).view(16, 16))",
            "AFTER": "h = h @ self.side",
        },
        "Parameter side",
    ),
    Plant(
        "ids of eight bits",
        "static",
        "ids",
        {"x = self.fields(batch.categorical_BF,": "x = self.fields(batch.categorical_BF % 256,"},
        {"x = self.fields(batch.categorical_BF,": "x = self.fields(batch.categorical_BF % 2**40,"},
        "8 bits",
    ),
    Plant(
        "logits of double precision",
        "static",
        "inputs",
        {"return Output(logit)": "return Output(logit.double())"},
        {"return Output(logit)": "return Output(logit.float())"},
        "float64",
    ),
]
"""What may be meant: said in a note, and no fault."""

PLANTS = [
    *(*LOSS, *LABEL, *BATCH, *GRADIENTS, *PADDING, *LATER, *CAUSAL, *STATE, *CHANCE, *READING, *GATES),
    *(*STEP, *IDS, *WRONG_LOSS, *KEPT),
]
