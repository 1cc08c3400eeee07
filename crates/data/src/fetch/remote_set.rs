//! Where data sets are published.

use crate::DataSet;

/// A published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name.
    pub name: &'static str,
    /// Its MD5, in hexadecimal: the check that authors and mirrors publish.
    pub md5: &'static str,
}

/// A published data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteSet {
    /// The address of the folder with its files.
    pub url: &'static str,
    /// Its files.
    pub files: &'static [RemoteFile],
    /// Their total size in MB.
    pub megabytes: u32,
}

impl RemoteSet {
    /// The address of a file, at the publisher or at a mirror.
    pub fn address(&self, file: &RemoteFile, mirror: Option<&str>) -> String {
        let base = mirror.unwrap_or(self.url);
        format!("{}/{}", base.trim_end_matches('/'), file.name)
    }
}

/// Where a data set is published; `None` for the built-in one and for a user's folder.
pub const fn remote_set(set: DataSet) -> Option<RemoteSet> {
    Some(match set {
        DataSet::Digits | DataSet::Folder => return None,
        // the authors' page no longer serves the files; these are the same bytes
        DataSet::Mnist => RemoteSet {
            url: "https://ossci-datasets.s3.amazonaws.com/mnist",
            files: &[
                RemoteFile { name: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
                RemoteFile { name: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432" },
                RemoteFile { name: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3" },
                RemoteFile { name: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c" },
            ],
            megabytes: 12,
        },
        DataSet::FashionMnist => RemoteSet {
            url: "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            files: &[
                RemoteFile { name: "train-images-idx3-ubyte.gz", md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d" },
                RemoteFile { name: "train-labels-idx1-ubyte.gz", md5: "25c81989df183df01b3e8a0aad5dffbe" },
                RemoteFile { name: "t10k-images-idx3-ubyte.gz", md5: "bef4ecab320f06d8554ea6380940ec79" },
                RemoteFile { name: "t10k-labels-idx1-ubyte.gz", md5: "bb300cfdad3c16e7a12a480ee83cd310" },
            ],
            megabytes: 31,
        },
        DataSet::Emnist => RemoteSet {
            url: "https://biometrics.nist.gov/cs_links/EMNIST",
            files: &[RemoteFile { name: "gzip.zip", md5: "58c8d27c78d21e728a6bc7b3cc06412e" }],
            megabytes: 562,
        },
        DataSet::Cifar10 => RemoteSet {
            url: "https://www.cs.toronto.edu/~kriz",
            files: &[RemoteFile { name: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530" }],
            megabytes: 170,
        },
        DataSet::Cifar100 => RemoteSet {
            url: "https://www.cs.toronto.edu/~kriz",
            files: &[RemoteFile { name: "cifar-100-binary.tar.gz", md5: "03b5dce01913d631647c71ecec9e9cb8" }],
            megabytes: 169,
        },
        DataSet::TinyImagenet => RemoteSet {
            url: "https://cs231n.stanford.edu",
            files: &[RemoteFile { name: "tiny-imagenet-200.zip", md5: "90528d7ca1a48142e341f4ef8d21d0de" }],
            megabytes: 248,
        },
    })
}
