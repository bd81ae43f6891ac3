"""Monthly and annual CO2 of one table."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.products.carbon_dioxide import read_co2, read_monthly_co2


def rows(years: range, value: float = 370.0) -> str:
    head = "year,month,decimal,average,average_unc,trend,trend_unc\n"
    return head + "".join(f"{y},{m},{y}.5,{value + m + y - 2001},0,1,0\n" for y in years for m in range(1, 13))


def test_months_are_in_order_and_their_means_are_those_of_years(tmp_path):
    path = tmp_path / "co2.csv"
    path.write_text(rows(range(2000, 2004)))
    months, said = read_monthly_co2(path, (2001, 2002))
    np.testing.assert_allclose(months, np.concatenate([370 + np.arange(1, 13), 371 + np.arange(1, 13)]))
    np.testing.assert_allclose(read_co2(path, (2001, 2002))[0], months.reshape(2, 12).mean(axis=1))
    assert said == "columns year and average"


def test_months_that_are_missing_are_refused(tmp_path):
    path = tmp_path / "co2.csv"
    path.write_text(rows(range(2001, 2003)).replace("2002,7,2002.5,378.0", "2002,7,2002.5,-99.99"))
    with pytest.raises(InputError, match="stands for a missing value"):
        read_monthly_co2(path, (2001, 2002))
    path.write_text("\n".join(rows(range(2001, 2003)).splitlines()[:-1]))
    with pytest.raises(InputError, match="a hole in time: 12 months a year are due; 2002 has 11"):
        read_monthly_co2(path, (2001, 2002))


def test_a_table_of_years_has_no_months(tmp_path):
    path = tmp_path / "co2.csv"
    path.write_text("Year,Mean,Uncertainty\n2001,371.0,0.1\n2002,373.0,0.1\n")
    with pytest.raises(InputError, match="a table of years; one of months is due"):
        read_monthly_co2(path, (2001, 2002))


def test_the_shared_monthly_table_is_read(data_dir):
    months, _ = read_monthly_co2(data_dir / "co2/co2-mm-gl.csv", (2001, 2022))
    assert len(months) == 264
    assert 369 < months[0] < 372
    assert np.ptp(months[:12]) > 3
