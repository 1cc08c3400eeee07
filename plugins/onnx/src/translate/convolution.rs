//! Convolution and pooling.

use walk_arch::{Conv2d, Init, Op, Pool2d, crop, global_avg_pool};

use super::translator::{At, Translator, constant_input, data, parameter};
use crate::attributes::{Attributes, place};
use crate::value::{Data, Value};

/// A window's options.
struct Window {
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Above, left, below, right.
    pads: [usize; 4],
}

impl Window {
    fn new(attributes: &Attributes<'_>, image: [usize; 2], kernel: [usize; 2]) -> Result<Self, String> {
        let stride = attributes.pair("strides", 1)?;
        let dilation = attributes.pair("dilations", 1)?;
        if stride.contains(&0) || kernel.contains(&0) {
            return Err("a window of no size".into());
        }
        let explicit = attributes.integers("pads").unwrap_or(&[0; 4]);
        let explicit: Option<Vec<usize>> = explicit.iter().map(|&pad| place(pad)).collect();
        let pads = match attributes.text("auto_pad").unwrap_or(b"NOTSET") {
            b"NOTSET" | b"" => explicit.and_then(|pads| pads.try_into().ok()).ok_or("unusable `pads`")?,
            b"VALID" => [0; 4],
            same @ (b"SAME_UPPER" | b"SAME_LOWER") => {
                let total = |axis: usize| {
                    let span = (kernel[axis] - 1) * dilation[axis] + 1;
                    let count = image[axis].div_ceil(stride[axis]);
                    ((count - 1) * stride[axis] + span).saturating_sub(image[axis])
                };
                let (rows, columns) = (total(0), total(1));
                let before = |pad: usize| if same == b"SAME_UPPER" { pad / 2 } else { pad.div_ceil(2) };
                [before(rows), before(columns), rows - before(rows), columns - before(columns)]
            }
            _ => return Err("unknown `auto_pad`".into()),
        };
        Ok(Self { stride, dilation, pads })
    }

    /// The padding, if it is the same on opposite sides.
    fn padding(&self) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.pads;
        (top == bottom && left == right).then_some([top, left])
    }

    /// Places of the window in an image.
    fn counts(&self, [height, width]: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], String> {
        let [top, left, bottom, right] = self.pads;
        let places = |axis: usize, size: usize| {
            let span = (kernel[axis] - 1).checked_mul(self.dilation[axis])?.checked_add(1)?;
            Some(size.checked_sub(span)? / self.stride[axis] + 1)
        };
        let found = (places(0, height + top + bottom), places(1, width + left + right));
        let (Some(rows), Some(columns)) = found else { return Err("a window larger than the image".into()) };
        Ok([rows, columns])
    }
}

impl<'a> Translator<'a> {
    /// Channels, height and width of a value that is an image.
    fn image(&self, data: &Data) -> Result<[usize; 3], String> {
        let found = (data.full.as_slice(), data.axis);
        let (&[batch, channels, height, width], 0) = found else {
            return Err(format!("an input of shape {:?}, expected images", data.full));
        };
        if batch != self.batch {
            Err("images with the batch in another dimension".into())
        } else {
            Ok([channels, height, width])
        }
    }

    pub(super) fn conv(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let image = self.image(&x)?;
        let weight = parameter(&inputs, 1, "weight")?;
        let &[filters, in_channels, height, width] = weight.dims.as_slice() else {
            return Err(format!("filters of shape {:?}, expected those of images", weight.dims));
        };
        let groups = usize::try_from(at.attributes.integer("group", 1)).unwrap_or(0);
        if groups == 0 || groups.checked_mul(in_channels) != Some(image[0]) {
            return Err(format!("filters of shape {:?} for {} channels", weight.dims, image[0]));
        }
        let kernel = [height, width];
        let window = Window::new(&at.attributes, [image[1], image[2]], kernel)?;
        let bias = match inputs.get(2).and_then(Option::as_ref) {
            None => None,
            Some(Value::Constant(zeros)) if zeros.uniform() == Some(0.0) => None,
            Some(_) => Some(parameter(&inputs, 2, "bias")?),
        };
        let [rows, columns] = window.counts([image[1], image[2]], kernel)?;
        let mut node = self.layer(&x, &image);
        let padding = match window.padding() {
            Some(padding) => padding,
            None => {
                node = self.padded(node, image, window.pads);
                [0, 0]
            }
        };
        let Window { stride, dilation, .. } = window;
        let conv = Conv2d {
            out_channels: filters,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            bias: bias.is_some(),
            weight_init: Init::FanIn,
            bias_init: Init::FanIn,
        };
        let parameters: Vec<_> =
            [("weight", &weight)].into_iter().chain(bias.iter().map(|bias| ("bias", bias))).collect();
        let node = self.push_trained(conv, vec![node], vec![filters, rows, columns], &parameters)?;
        Ok(Self::same(&Data { full: vec![self.batch, filters, rows, columns], ..x }, node))
    }

    /// An image with zeros around it.
    fn padded(&mut self, node: usize, [channels, height, width]: [usize; 3], pads: [usize; 4]) -> usize {
        let [top, left, bottom, right] = pads;
        let shape = vec![channels, height + top + bottom, width + left + right];
        let op = crop(&[0, -(top as i64), -(left as i64)], &shape);
        let name = format!("{}.pad", self.nodes[node].name);
        self.push(&name, op, vec![node], shape)
    }

    pub(super) fn pool(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let image = self.image(&x)?;
        let kernel = at.attributes.pair("kernel_shape", 1)?;
        let window = Window::new(&at.attributes, [image[1], image[2]], kernel)?;
        if window.dilation != [1, 1] {
            return Err("pooling with dilation".into());
        }
        let padding = window.padding().ok_or("pooling with different padding on opposite sides")?;
        let [rows, columns] = window.counts([image[1], image[2]], kernel)?;
        let is_whole = |axis: usize| {
            (image[1 + axis] + 2 * padding[axis] - kernel[axis]).is_multiple_of(window.stride[axis])
        };
        if at.attributes.integer("ceil_mode", 0) != 0 && !(is_whole(0) && is_whole(1)) {
            return Err("pooling with `ceil_mode` and incomplete windows".into());
        }
        let pool = Pool2d { kernel, stride: window.stride, padding };
        let op = if at.node.op_type == "MaxPool" {
            Op::MaxPool2d(pool)
        } else if padding != [0, 0] && at.attributes.integer("count_include_pad", 0) == 0 {
            return Err("mean pooling that leaves its padding out (count_include_pad = 0)".into());
        } else {
            Op::AvgPool2d(pool)
        };
        let node = self.layer(&x, &image);
        let shape = vec![image[0], rows, columns];
        let node = self.push(&at.node.output[0], op, vec![node], shape);
        Ok(Self::same(&Data { full: vec![self.batch, image[0], rows, columns], ..x }, node))
    }

    pub(super) fn global_pool(&mut self, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let image = self.image(&x)?;
        let node = self.layer(&x, &image);
        let name = format!("{}.mean", self.nodes[node].name);
        let node = self.push(&name, global_avg_pool(), vec![node], vec![image[0]]);
        Ok(Self::same(&Data { full: vec![self.batch, image[0], 1, 1], ..x }, node))
    }

    pub(super) fn pad(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        if at.attributes.text("mode").is_some_and(|mode| mode != b"constant") {
            return Err("padding that is not constant".into());
        }
        if constant_input(&inputs, 2).is_some_and(|value| value.uniform() != Some(0.0)) {
            return Err("padding with another value than 0".into());
        }
        let pads = constant_input(&inputs, 1).ok_or("its padding is no constant")?.integers();
        let rank = x.full.len();
        if pads.len() != 2 * rank || inputs.get(3).is_some_and(Option::is_some) {
            return Err("padding of some axes".into());
        }
        let sample = x.sample(self.batch);
        let (mut start, mut shape, mut full) =
            (vec![0; sample.shape.len()], sample.shape.clone(), x.full.clone());
        for axis in (0..rank).filter(|&axis| pads[axis] != 0 || pads[rank + axis] != 0) {
            let place = x.place(axis, self.batch)?;
            let length = (shape[place] as i64).checked_add(pads[axis]);
            let length = length.and_then(|length| length.checked_add(pads[rank + axis]));
            let length = length.and_then(|length| usize::try_from(length).ok()).filter(|&length| length > 0);
            let length = length.ok_or("nothing is left")?;
            start[place] = -pads[axis];
            (shape[place], full[axis]) = (length, length);
        }
        let node = self.layer(&x, &sample.shape);
        let node = self.push(&at.node.output[0], crop(&start, &shape), vec![node], shape);
        Ok(Self::same(&Data { full, ..x }, node))
    }
}
