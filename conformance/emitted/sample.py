"""Some studies of the index of the NCI Imaging Data Commons, with all their series.

    sample.py FOLDER STUDIES OUT     FOLDER holds idc_index.parquet of PyPI idc-index-data

Those whose Study Instance UID has the smallest digest: chosen at random, and the same every time.
Needs pandas and pyarrow.
"""

import hashlib
import sys

import pandas as pd

folder, count, out = sys.argv[1:4]
rows = pd.read_parquet(f"{folder}/idc_index.parquet")
studies = sorted(rows["StudyInstanceUID"].unique(), key=lambda uid: hashlib.sha256(uid.encode()).digest())
chosen = rows[rows["StudyInstanceUID"].isin(studies[: int(count)])]
chosen.to_parquet(out)
print(f"{chosen['StudyInstanceUID'].nunique()} studies of {chosen['collection_id'].nunique()} collections, "
      f"{len(chosen)} series, {chosen['instanceCount'].sum()} images")
