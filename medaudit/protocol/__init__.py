"""The tests as composed: cohorts, detectors, search and statistics brought together, nothing written.

`sides` and `described` are what a test looks at, `searching` and `scoring` how one detector judges, `controls`,
`generative`, `closeness`, `duplicates`, `learnt` and `examination` the parts of an audit and `audit` the whole,
`repeats` and `matching_repeats` those of an extraction; `sources` and `variety` look at the cohorts themselves,
`remainder` and `outlook` at what follows; `audit_record` and `extract_record` turn them into findings.
"""
