#pragma once

#include <string>

#include <isotape/layers/model_spec.hpp>

namespace isotape {

// Nets without a constraint, with batch normalisation, in the form that images of 32 x 32 pixels
// get (a 3 x 3 convolution of stride 1 in front, no pooling behind it): for studies of what
// training does to a usual net. Zero padding, ReLU; convolutions before a normalisation have no
// bias in ResNet-18, and one in VGG-19, as in the code that made the forms known
// [github.com/kuangliu/pytorch-cifar].

/// ResNet-18 [He 2016]: stages of 2 blocks with 64, 128, 256 and 512 channels, average pooling, one
/// dense layer. 11,173,962 parameters for 3 channels and 10 classes.
ModelSpec resnet18(std::string name);

/// VGG-19 [Simonyan 2015]: 16 convolutions, 5 poolings by maxima, one dense layer. 20,040,522
/// parameters for 3 channels and 10 classes. Sides of the image: multiples of 32.
ModelSpec vgg19(std::string name);

}  // namespace isotape
