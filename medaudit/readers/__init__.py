"""Foreign files in: DICOM, raster images, npz, and the folder layouts teams already have."""
