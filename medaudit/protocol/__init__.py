"""The tests as composed: cohorts, detectors, search and statistics brought together, nothing written.

`sides` and `described` are what a test looks at, `searching` and `scoring` how one detector judges. Parts of an audit:
`controls`, `generative`, `closeness`, `duplicates`, `learnt`, `examination`; `reidentification` and `follow_ups` tell
copies from other pictures of a person, `sources` and `variety` look at the cohorts themselves, `remainder` and
`outlook` at what follows; `audit` is the whole. `repeats` and `matching_repeats` are the parts of an extraction.
`audit_record` and `extract_record` turn all of it into findings.
"""
