//! Parameters and buffers that a plugin hands over, as bytes and in their places.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Network;

/// A parameter or buffer with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialValues {
    /// Its name in the network.
    pub name: String,
    /// Its shape in the network.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

/// Its line in the header.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

/// As point 7 of the plugin ABI says.
pub(crate) fn to_bytes(all: &[InitialValues]) -> Result<Vec<u8>, String> {
    let entries: Vec<Entry> =
        all.iter().map(|one| Entry { name: one.name.clone(), shape: one.shape.clone() }).collect();
    let header = serde_json::to_vec(&entries).map_err(|error| error.to_string())?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    all.iter().flat_map(|one| &one.values).for_each(|value| bytes.extend(value.to_le_bytes()));
    Ok(bytes)
}

/// Reads [`to_bytes`]'s bytes, from an untrusted plugin.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<InitialValues>, String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("they are too short")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|&length| length <= rest.len());
    let (header, mut data) = rest.split_at(length.ok_or("their header is cut off")?);
    let entries: Vec<Entry> = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let take = |Entry { name, shape }: Entry| {
        let count = shape.iter().try_fold(4usize, |count, &dim| count.checked_mul(dim));
        let (own, rest) = count
            .and_then(|count| data.split_at_checked(count))
            .ok_or_else(|| format!("the values of `{name}` are cut off"))?;
        data = rest;
        let values = own.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
        Ok(InitialValues { name, shape, values })
    };
    let all = entries.into_iter().map(take).collect::<Result<Vec<InitialValues>, String>>()?;
    if data.is_empty() { Ok(all) } else { Err(format!("{} bytes are left over", data.len())) }
}

impl Network {
    /// θ and the buffers with these values, each given once.
    ///
    /// # Errors
    /// A message, if one is missing, unknown, of another shape or not finite.
    pub fn initial_point(&self, all: &[InitialValues]) -> Result<[Vec<f32>; 2], String> {
        let mut point = [vec![0.0; self.n_params()], self.initial_buffers()];
        let mut given = BTreeSet::new();
        for InitialValues { name, shape, values } in all {
            if !given.insert(name) {
                return Err(format!("`{name}` is given twice"));
            }
            let param = self.params.iter().find(|param| param.name == *name);
            let buffer = self.buffers.iter().find(|buffer| buffer.name == *name);
            let (part, range, expected) = match (param, buffer) {
                (Some(param), _) => (0, param.range.clone(), param.shape.clone()),
                (None, Some(buffer)) => (1, buffer.range.clone(), vec![buffer.range.len()]),
                (None, None) => return Err(format!("the network has no parameter or buffer `{name}`")),
            };
            if *shape != expected || values.len() != range.len() {
                return Err(format!("`{name}` has the shape {shape:?}, expected {expected:?}"));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(format!("`{name}` has the value {value}"));
            }
            point[part][range].copy_from_slice(values);
        }
        for layer in &self.layers {
            let Some(place) = &layer.buffers else { continue };
            if let Some(value) = point[1][place.var.clone()].iter().find(|&&value| value < 0.0) {
                return Err(format!("the running variance of `{}` has the value {value}", layer.name));
            }
        }
        let names = self.params.iter().map(|param| &param.name);
        let names = names.chain(self.buffers.iter().map(|buffer| &buffer.name));
        let missing: Vec<&str> = names.filter(|name| !given.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(format!("it gives no values for {}", missing.join(", ")));
        }
        Ok(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Net, Problem, batch_norm, linear};

    fn network() -> Network {
        let net = Net::new();
        let x = net.input().then("fc", linear(2)).then("bn", batch_norm());
        net.finish(x).check(&Problem { input: vec![3], classes: 2 }).unwrap()
    }

    fn all() -> Vec<InitialValues> {
        let one = |name: &str, shape: &[usize], first: f32| InitialValues {
            name: name.into(),
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(|place| first + place as f32).collect(),
        };
        vec![
            one("bn.running_var", &[2], 50.0),
            one("fc.weight", &[2, 3], 0.0),
            one("fc.bias", &[2], 10.0),
            one("bn.weight", &[2], 20.0),
            one("bn.bias", &[2], 30.0),
            one("bn.running_mean", &[2], 40.0),
        ]
    }

    #[test]
    fn values_arrive_in_their_places() {
        let read = from_bytes(&to_bytes(&all()).unwrap()).unwrap();
        assert_eq!(read, all());
        let [params, buffers] = network().initial_point(&read).unwrap();
        assert_eq!(params, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0]);
        assert_eq!(buffers, [40.0, 41.0, 50.0, 51.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let bytes = to_bytes(&all()).unwrap();
        for end in 0..bytes.len() {
            assert!(from_bytes(&bytes[..end]).is_err(), "cut after {end}");
        }
        assert!(from_bytes(&[&bytes[..], &[0]].concat()).unwrap_err().contains("1 bytes are left over"));
        let message = |change: &dyn Fn(&mut Vec<InitialValues>)| {
            let mut all = all();
            change(&mut all);
            network().initial_point(&all).unwrap_err()
        };
        assert_eq!(message(&|all| drop(all.pop())), "it gives no values for bn.running_mean");
        assert_eq!(
            message(&|all| all[2].name = "fc.b".into()),
            "the network has no parameter or buffer `fc.b`"
        );
        assert_eq!(
            message(&|all| all[1].shape = vec![3, 2]),
            "`fc.weight` has the shape [3, 2], expected [2, 3]"
        );
        assert_eq!(message(&|all| all[2].values[1] = f32::NAN), "`fc.bias` has the value NaN");
        assert_eq!(message(&|all| all[3] = all[2].clone()), "`fc.bias` is given twice");
    }
}
