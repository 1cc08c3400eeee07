"""Networks as people write them for PyTorch, to be exported to ONNX."""
import torch
import torch.nn as nn


def resnet18():
    """torchvision's, with a stem for images of 32x32."""
    from torchvision.models import resnet18
    net = resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    net.maxpool = nn.Identity()
    return net


def mobilenet_v2():
    """torchvision's, with a stem for images of 32x32."""
    from torchvision.models import mobilenet_v2
    net = mobilenet_v2(num_classes=10, dropout=0.0)
    net.features[0][0].stride = (1, 1)
    return net


class VggGroupNorm(nn.Module):
    def __init__(self, widths=(16, "M", 32, "M", 32, "M"), classes=10):
        super().__init__()
        layers, channels = [], 3
        for width in widths:
            if width == "M":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(4, width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(channels * 16, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class ConvNextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(0.1 * torch.ones(width))

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    def __init__(self, width=16, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.Sequential(ConvNextBlock(width), ConvNextBlock(width))
        self.norm, self.head = nn.LayerNorm(width, bias=False), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x)).mean((-2, -1))))


class ViT(nn.Module):
    """With nn.MultiheadAttention, a class token and position embeddings."""

    def __init__(self, patch=8, width=24, heads=3, depth=2, classes=10):
        super().__init__()
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (32 // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, activation="gelu",
                                                               batch_first=True, norm_first=True) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class PlainCnn(nn.Module):
    """A plain network with layers that the others do not have."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 5, stride=2, padding=2)
        self.bn1 = nn.BatchNorm2d(12, momentum=0.05)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.norm2 = nn.InstanceNorm2d(24, affine=True)
        self.conv3 = nn.Conv2d(12, 16, 3, dilation=2)
        self.fc1, self.fc2 = nn.Linear(16, 20), nn.Linear(20, 10)
        self.temperature = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = nn.functional.elu(self.bn1(self.conv1(x)))
        x = nn.functional.avg_pool2d(x, 2)
        x = nn.functional.hardswish(self.norm2(self.conv2(x)))
        a, b = x.chunk(2, dim=1)
        x = a * torch.sigmoid(b) - 0.5 * a
        x = nn.functional.leaky_relu(self.conv3(nn.functional.pad(x, (1, 0, 0, 1))), 0.2)
        x = torch.tanh(x.mean((2, 3)))
        x = nn.functional.silu(self.fc1(x))
        x = nn.functional.gelu(x, approximate="tanh") + nn.functional.gelu(x)
        return self.fc2(x) / 2 * self.temperature
