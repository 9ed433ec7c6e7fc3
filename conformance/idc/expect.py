#!/usr/bin/env python3
"""What an ingest of the IDC index must count, from pandas alone.

    python3 expect.py FOLDER > expected.json

FOLDER holds idc_index.parquet (and collections_index.parquet) of the Python package
idc-index-data 25.0.5. Nothing here knows the product: the figures are group-bys over the file.
Needs pandas and pyarrow.

Every group is {"value": {"patients", "studies", "series", "images"}}; "" stands for an absent
value. A patient is a PatientID within its collection. Values are the file's own, except where a
name ends in `_resolved`: there a study has one value, that of its first image series as the design
ranks them (images before derived objects, then SeriesNumber, then SeriesInstanceUID), and a patient
that of the latest study, after the rules of mappings/tables/idc.toml.
"""

import json
import sys
from pathlib import Path

import pandas as pd

# Derived objects and presentations, as in src/imaging/record.rs (PS3.3 C.7.3.1.1.1).
DERIVED = """ANN AU DOC FID KO M3D PLAN PR REG RESP RTDOSE RTPLAN RTRECORD RTSTRUCT RWV SEG SMR SR
STAIN TEXTUREMAP""".split()
COLUMNS = """collection_id PatientID StudyInstanceUID SeriesInstanceUID PatientAge PatientSex
StudyDate BodyPartExamined Modality SOPClassUID TransferSyntaxUID Manufacturer
ManufacturerModelName SeriesNumber instanceCount license_short_name source_DOI
series_size_MB""".split()


def counts(rows: pd.DataFrame) -> dict:
    """Patients, studies, series and images of some rows."""
    return {
        "patients": int(rows["patient"].nunique()),
        "studies": int(rows["StudyInstanceUID"].nunique()),
        "series": int(rows["SeriesInstanceUID"].nunique()),
        "images": int(rows["instanceCount"].sum()),
    }


def grouped(rows: pd.DataFrame, column: str) -> dict:
    """The same per value of a column; all groups in one pass."""
    key = rows[column].fillna("").astype(str)
    groups = rows.groupby(key, sort=True)
    table = pd.DataFrame(
        {
            "patients": groups["patient"].nunique(),
            "studies": groups["StudyInstanceUID"].nunique(),
            "series": groups["SeriesInstanceUID"].nunique(),
            "images": groups["instanceCount"].sum(),
        }
    )
    return {str(k): {c: int(v) for c, v in row.items()} for k, row in table.iterrows()}


def main() -> None:
    folder = Path(sys.argv[1])
    rows = pd.read_parquet(folder / "idc_index.parquet", columns=COLUMNS)
    rows["patient"] = rows["collection_id"] + "\x1f" + rows["PatientID"]

    expected = {"totals": counts(rows)}
    expected["totals"]["collections"] = int(rows["collection_id"].nunique())
    expected["totals"]["patient_ids"] = int(rows["PatientID"].nunique())
    expected["totals"]["megabytes"] = round(float(rows["series_size_MB"].sum()), 3)
    for name, column in {
        "collection": "collection_id",
        "modality": "Modality",
        "sex": "PatientSex",
        "body_part": "BodyPartExamined",
        "manufacturer": "Manufacturer",
        "model": "ManufacturerModelName",
        "sop_class": "SOPClassUID",
        "licence": "license_short_name",
        "source_doi": "source_DOI",
    }.items():
        expected[name] = grouped(rows, column)

    licences = rows.groupby(["collection_id", "license_short_name"])
    expected["collection_licence"] = [
        {"collection": c, "licence": l, "series": len(g), "images": int(g["instanceCount"].sum())}
        for (c, l), g in licences
    ]

    # One value per study: that of its first image series.
    rank = pd.DataFrame(
        {
            "derived": rows["Modality"].isin(DERIVED),
            "number": pd.to_numeric(rows["SeriesNumber"], errors="coerce").fillna(2**32 - 1),
            "uid": rows["SeriesInstanceUID"],
        }
    )
    ranked = rows.loc[rank.sort_values(["derived", "number", "uid"], kind="stable").index]
    first = ranked.drop_duplicates("StudyInstanceUID")
    by_study = first.set_index("StudyInstanceUID")

    # A patient is as the first image series of the latest study says: by the date of each row,
    # rows without a usable date last, then by rank.
    usable = ranked["StudyDate"].astype(str).where(ranked["StudyDate"].astype(str) >= "1895-11-08")
    latest = ranked.assign(date=usable).sort_values(
        "date", ascending=False, na_position="last", kind="stable"
    )
    one = latest.drop_duplicates("patient").set_index("patient")["PatientSex"]
    rows["sex_of_patient"] = rows["patient"].map(one.where(one.isin(["F", "M", "O"])))
    expected["sex_resolved"] = grouped(rows, "sex_of_patient")

    date = by_study["StudyDate"].where(by_study["StudyDate"].astype(str) >= "1895-11-08")
    rows["year_of_study"] = rows["StudyInstanceUID"].map(date.astype(str).str[:4]).where(
        rows["StudyInstanceUID"].map(date).notna()
    )
    expected["year_resolved"] = grouped(rows, "year_of_study")

    # What the rules of the mapping must find, counted in rows.
    age = rows["PatientAge"].dropna().astype(str)
    parts = age.str.extract(r"^(\d{3})([DWMYdwmy])$")
    number = pd.to_numeric(parts[0], errors="coerce")
    years = number / parts[1].str.upper().map({"D": 365, "W": 52, "M": 12, "Y": 1})
    sane = (number > 0) & (years < 131)
    expected["findings"] = {
        "age-odd": int((~sane).sum()),
        "date-odd": int((rows["StudyDate"].dropna().astype(str) < "1895-11-08").sum()),
        "sex-odd": int((~rows["PatientSex"].dropna().isin(["F", "M", "O", "U"])).sum()),
        "body-part-missing": int(rows["BodyPartExamined"].isna().sum()),
        "transfer-syntaxes": int(rows["TransferSyntaxUID"].str.contains(",").sum()),
        "studies_with_several_dates": int(
            (rows.groupby("StudyInstanceUID")["StudyDate"].nunique() > 1).sum()
        ),
        "studies_with_several_patients": int(
            (rows.groupby("StudyInstanceUID")["patient"].nunique() > 1).sum()
        ),
    }
    collections = folder / "collections_index.parquet"
    if collections.exists():
        species = pd.read_parquet(collections, columns=["collection_id", "species"])
        species = species.set_index("collection_id")["species"]
        rows["species"] = rows["collection_id"].map(species)
        expected["species"] = grouped(rows, "species")
        expected["findings"]["not-human"] = int((rows["species"] != "Human").sum())
    json.dump(expected, sys.stdout, indent=1, ensure_ascii=False, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
