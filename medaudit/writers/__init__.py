"""Files out: marked DICOM and raster images."""
