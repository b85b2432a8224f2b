"""medaudit: find patients' scans among synthetic radiographs before the images are published."""

__version__ = "0.1.0"
