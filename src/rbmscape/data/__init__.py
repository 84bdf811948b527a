"""Binary data sets: the embedded MNIST, synthetic sets with known answers, readers for users' files."""
