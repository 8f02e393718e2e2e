import pandas as pd

from equikpt.core.tables import frame_text


def test_frames_escape_header_cells_and_index():
    frame = pd.DataFrame({"=h": ["@c", None], "n": [-1.23456789, 2]}, index=["+i", "j"])
    assert frame_text(frame) == "'=h,n\n'@c,-1.23457\n,2\n"
    assert frame_text(frame, index=True).splitlines()[1] == "'+i,'@c,-1.23456789"
    assert frame.index[0] == "+i"  # the frame itself is as it was
    levels = pd.MultiIndex.from_product([["s"], ["-a", "b"]])
    assert frame_text(pd.DataFrame([[1, 2]], columns=levels), index=False) == "s,s\n'-a,b\n1,2\n"
