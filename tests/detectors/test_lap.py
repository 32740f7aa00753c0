"""What LAP adds to TEVAD: terms that read the text itself."""

import dataclasses

import numpy as np

from tests.detectors import cases


def test_a_video_with_a_row_of_text_less_is_flagged_as_if_its_last_row_stood_twice():
    made, arrays = cases.detector("lap"), cases.videos([6, 4, 6, 5])
    b = cases.batch(arrays, 6)
    text, text_mask = np.array(b.text), np.array(b.text_mask)
    text[1, 1, 4], text_mask[1, 1, 4] = 1e3, False
    short = dataclasses.replace(b, text=b.text.at[:].set(text), text_mask=b.text_mask.at[:].set(text_mask))
    text[1, 1, 4] = text[1, 1, 3]
    whole = dataclasses.replace(b, text=b.text.at[:].set(text))
    outputs = cases.forward(made, short)
    found, wanted = (cases.terms(made, outputs, each) for each in (short, whole))
    for name in ("pseudo_anomaly", "multi_prompt"):
        assert np.asarray(wanted[name].rows).any()
        np.testing.assert_allclose(found[name].rows, wanted[name].rows, rtol=1e-6)
