"""The plugins' networks in PyTorch, with the plugins' parameter names, and numbers that both sides generate exactly."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(widths, size, classes):
    layers = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(size, width), nn.BatchNorm1d(width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, classes))


class Vgg11(nn.Module):
    def __init__(self, width, head, classes):
        super().__init__()
        layers, channels = [], 3
        for stage in ([64], [128], [256, 256], [512, 512], [512, 512]):
            for out in stage:
                out = max(1, int(out * width + 0.5))
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        layers, size = [], channels
        for out in head:
            layers += [nn.Linear(size, out), nn.ReLU()]
            size = out
        self.classifier = nn.Sequential(*layers, nn.Linear(size, classes))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class PreActBlock(nn.Module):
    def __init__(self, inp, out, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inp), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(inp, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inp, out, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x)))))) + self.shortcut(x)


def resnet(depth, width, classes):
    layers, channels = [nn.Conv2d(3, width, 3, padding=1, bias=False)], width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            out = width << stage
            layers.append(PreActBlock(channels, out, 2 if stage and not block else 1))
            channels = out
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(channels, classes))


class WideBlock(nn.Module):
    def __init__(self, inp, out, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inp), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(inp, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.convShortcut = None if inp == out and stride == 1 else nn.Conv2d(inp, out, 1, stride, bias=False)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (x if self.convShortcut is None else self.convShortcut(a))


class Group(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, widen, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        channels = 16
        for group in range(3):
            blocks = []
            for block in range((depth - 4) // 6):
                out = 16 * widen << group
                blocks.append(WideBlock(channels, out, 2 if group and not block else 1))
                channels = out
            setattr(self, f"block{group + 1}", Group(*blocks))
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.bn1(x)), 1).flatten(1))


class Bias(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.bias = nn.Parameter(0.02 * torch.randn(*shape))

    def forward(self, x):
        return x + self.bias


class VitBlock(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        n, t, w = x.shape
        h = self.norm1(x)
        q, k, v = (f(h).view(n, t, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        p = (q @ k.transpose(2, 3) / (w / self.heads) ** 0.5).softmax(-1)
        x = x + self.proj((p @ v).transpose(1, 2).reshape(n, t, w))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, size, patch, width, depth, heads, hidden, classes):
        super().__init__()
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.pos = Bias((size // patch) ** 2, width)
        self.blocks = nn.Sequential(*(VitBlock(width, heads, hidden) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.pos(self.patch(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(self.blocks(x)).mean(1))


def numbers(stream, n):
    """n float32 numbers in [-0.5, 0.5), the same in Rust: multiples of 2^-24 from a multiplicative hash."""
    index = np.arange(n, dtype=np.uint64) + np.uint64(stream) * np.uint64(1_000_003)
    mixed = (index * np.uint64(2654435761)) % np.uint64(1 << 32)
    mixed = mixed ^ (mixed >> np.uint64(15))
    mixed = (mixed * np.uint64(2246822519)) % np.uint64(1 << 32)
    mixed = mixed ^ (mixed >> np.uint64(13))
    return torch.from_numpy((mixed >> np.uint64(8)).astype(np.float32) / np.float32(1 << 24) - np.float32(0.5))


def set_numbers(net):
    """Sets parameters and running statistics from `numbers`, in the order of parameters and of buffers."""
    with torch.no_grad():
        for stream, (name, p) in enumerate(net.named_parameters()):
            u = numbers(100 + stream, p.numel()).view_as(p)
            if p.dim() > 1:
                scale = 2.0 ** -np.floor(np.log2(np.sqrt(p[0].numel())) - 1)
                p.copy_(scale * u)
            elif name.endswith("weight"):
                p.copy_(1 + 0.5 * u)
            else:
                p.copy_(0.5 * u)
        for stream, (name, b) in enumerate((n, b) for n, b in net.named_buffers() if b.is_floating_point()):
            u = numbers(900 + stream, b.numel())
            b.copy_(0.5 * u if name.endswith("mean") else 1 + u)
