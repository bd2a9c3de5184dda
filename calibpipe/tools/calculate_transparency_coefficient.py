"""Cherenkov transparency coefficient of a night from the trigger rates of the array."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "atmosphere/transparency_coefficient"
CLEAR_NIGHT = "atmosphere/clear_night"
MUONS, MUON_NIGHT = "throughput/muon_throughput", "/calibpipe/throughput/muon_night"
PER_TELESCOPE = ("throughput", "throughput_error", "gain", "gain_error")


class CalculateTransparencyCoefficient(NightTool):
    """Calculate the Cherenkov transparency coefficient of telescopes and array.

    Trigger rates, corrected for dead time and zenith angle, over what telescopes do themselves:
    optical throughput (muon rings) and gain. The normalisation comes from reference nights, given
    as products of this Tool; `--reference-night` takes the night itself among them.
    """

    name = "calibpipe-calculate-transparency-coefficient"
    description = __doc__
    examples = """
    calibpipe-calculate-transparency-coefficient --site config/sites/CTAO-North.yaml \\
        --night 2024-07-10 --rates trigger_rates.ecsv \\
        --muon LSTN-01/throughput/muon_throughput.h5 \\
        --coefficients LSTN-01/camera/coefficients.OBSID1.h5 \\
        --reference 2024-07-08/atmosphere/transparency_coefficient.ecsv \\
        --output atmosphere/transparency_coefficient.ecsv
    """

    rates = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="ECSV with begin_utc, end_utc, tel_id, n_triggers, zenith; live_fraction, "
        "is_excluded, throughput, throughput_error, gain, gain_error if they are known",
    ).tag(config=True)
    muon_throughputs = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Products throughput/muon_throughput; before columns of the rates",
    ).tag(config=True)
    coefficients = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Products camera/coefficients, for the gains; before columns of the rates",
    ).tag(config=True)
    references = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Products of this Tool of reference nights",
    ).tag(config=True)
    reference_night = traits.Bool(False, help="This night is a reference itself").tag(config=True)
    clear_night = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Product atmosphere/clear_night: a reference night has to be clear",
    ).tag(config=True)
    spectral_index = traits.Float(2.7, help="Differential, of what triggers").tag(config=True)
    spectral_index_error = traits.Float(0.05, min=0.0, help="Its systematic error").tag(config=True)
    higher_order = traits.Float(0.0, help="Delta: what the threshold does not describe").tag(
        config=True
    )
    zenith_exponent = traits.Float(
        1.0, help="The rate is as this power of cos z, where the references do not tell"
    ).tag(config=True)
    zenith_exponent_error = traits.Float(0.5, min=0.0, help="Its systematic error").tag(config=True)
    fit_zenith_exponent = traits.Bool(True, help="From the reference nights").tag(config=True)
    dead_time_in_us = traits.Float(
        0.0, min=0.0, help="Of a trigger, where the rates have no live_fraction"
    ).tag(config=True)
    reference_scatter = traits.Float(
        0.05, min=0.0, help="Relative difference of clear nights, assumed for a single reference"
    ).tag(config=True)
    min_transparency = traits.Float(0.8, min=0.0, help="Of a good slice").tag(config=True)
    max_transparency = traits.Float(1.2, min=0.0, help="Of a good slice").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        "rates": "CalculateTransparencyCoefficient.rates",
        "muon": "CalculateTransparencyCoefficient.muon_throughputs",
        "coefficients": "CalculateTransparencyCoefficient.coefficients",
        "reference": "CalculateTransparencyCoefficient.references",
        "clear-night": "CalculateTransparencyCoefficient.clear_night",
    }
    flags: ClassVar[dict] = {
        **NightTool.flags,
        "reference-night": (
            {"CalculateTransparencyCoefficient": {"reference_night": True}},
            "This night is a reference itself",
        ),
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "rates")

    def setup(self) -> None:
        """Check the options."""
        super().setup()
        require(
            self.references or self.reference_night,
            f"{self.name} needs --reference with products of clear nights, or --reference-night "
            "for the first of them",
        )

    def start(self) -> None:
        """Read, normalise, write."""
        from ..core.night import night_span
        from ..core.products import write_table

        site = self.load_site()
        self.check_clear_night()
        own = self.own_slices()
        others = [self.reference_slices(path, site) for path in self.references]
        samples = [*others, own] if self.reference_night else others
        model, source = self.rate_model(samples)
        reference = self.normalisation(samples, model)
        found = self.coefficients_of(own, reference, model)
        summary = self.summary(found, own)
        metadata = self.metadata(
            KIND,
            f"Cherenkov transparency coefficient of {site.name}, night {self.night}",
            validity=night_span(self.night, site),
            details=summary | self.details(own, reference, model, source),
        )
        write_table(self.output, self.table(own, found), metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "night %s: transparency %.3f +- %.3f (stat) +- %.3f (sys), %d of %d slices good",
            self.night,
            *(summary[n] for n in ("transparency", "stat_error", "sys_error")),
            summary["n_good_slices"],
            len(own["zenith"]),
        )

    def check_clear_night(self) -> None:
        """A night that is known not to be clear is no reference."""
        from ..core.products import read_table

        if self.clear_night is None:
            return
        header = read_table(self.add_input(self.clear_night, CLEAR_NIGHT), CLEAR_NIGHT).meta[
            "calibpipe"
        ]
        require(
            header["night"] == self.night,
            f"{self.clear_night} is of the night {header['night']}, not {self.night}",
        )
        require(
            header["is_clear"] or not self.reference_night,
            f"the night {self.night} is not clear ({', '.join(header['reasons'])}) and no "
            "reference; leave out --reference-night",
        )

    def own_slices(self) -> dict[str, Any]:
        """Rates of this night with throughputs and gains, in arrays by slice and telescope."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.transparency import dead_time_corrected_rate
        from ..core.exceptions import MissingInputError
        from ..core.night import night_span
        from ..core.trigger_rates import read_trigger_rates

        path = self.add_input(self.rates, "trigger_rates")
        rates = read_trigger_rates(path)
        begin, end = (t.unix_tai for t in night_span(self.night, self._loaded_site))
        if np.any((rates.begin < begin) | (rates.end > end)):
            raise MissingInputError(f"{path} has times outside the night {self.night}")
        duration = (rates.end - rates.begin)[:, None] * u.s
        rate, error = dead_time_corrected_rate(
            rates.n_triggers,
            np.broadcast_to(duration, rates.n_triggers.shape, subok=True),
            self.dead_time_in_us * u.us,
            rates.more.get("live_fraction"),
        )
        own = {
            "begin": rates.begin,
            "end": rates.end,
            "zenith": rates.zenith,
            "tel_ids": rates.tel_ids,
            "rate": rate.to_value(u.Hz),
            "rate_error": error.to_value(u.Hz),
            "n_excluded": rates.n_excluded,
            "night": self.night,
        }
        empty = np.full(rates.n_triggers.shape, np.nan)
        own |= {name: rates.more.get(name, empty).copy() for name in PER_TELESCOPE}
        self.fill(own, "throughput", self.muons())
        self.fill(own, "gain", self.gains(rates.tel_ids))
        used = np.isfinite(own["rate"]).any(axis=0)
        for name in PER_TELESCOPE:
            known = np.isfinite(own[name]).any(axis=0)
            require(
                np.all(known | ~used),
                f"no {name} of telescope {', '.join(map(str, rates.tel_ids[used & ~known]))}: give "
                f"{'--muon' if name.startswith('t') else '--coefficients'} or a column {name} in "
                f"{path}",
            )
        return own

    @staticmethod
    def fill(own: dict[str, Any], name: str, values: dict[int, tuple[float, float]]) -> None:
        """Values of products take the place of columns."""
        for k, tel_id in enumerate(own["tel_ids"].tolist()):
            if tel_id in values:
                own[name][:, k], own[f"{name}_error"][:, k] = values[tel_id]

    def muons(self) -> dict[int, tuple[float, float]]:
        """Throughput and error by telescope."""
        import numpy as np

        from ..core.array_file import read_array_product

        found: dict[int, tuple[float, float]] = {}
        for path in self.muon_throughputs:
            header, _ = read_array_product(self.add_input(path, MUONS), MUONS, [])
            self.check_new(path, header["tel_id"], found)
            error = float(np.hypot(header["stat_error"], header["sys_error"]))
            found[header["tel_id"]] = header["throughput"], error
        return found

    def gains(self, tel_ids: Any) -> dict[int, tuple[float, float]]:
        """Mean gain (ADC per p.e., first channel) and error by telescope."""
        import numpy as np

        from ..core.exceptions import CorruptedInputError
        from ..core.monitoring_file import read_camera_coefficients
        from ..core.product_header import read_product_header

        found: dict[int, tuple[float, float]] = {}
        for path in self.coefficients:
            tel_id = read_product_header(self.add_input(path, "camera/coefficients")).own["tel_id"]
            self.check_new(path, tel_id, found)
            if tel_id not in tel_ids:
                continue
            table = read_camera_coefficients(path, tel_id)
            valid = np.asarray(table["is_valid"], bool)
            bad = np.asarray(table["outlier_mask"], bool)[valid, 0]
            gain, sys_error = (
                np.where(bad, np.nan, np.asarray(table[name], float)[valid, 0])
                for name in ("gain", "gain_sys_error")
            )
            if not np.isfinite(gain).any():
                raise CorruptedInputError(f"{path} has no valid gain of telescope {tel_id}")
            found[tel_id] = float(np.nanmean(gain)), float(np.nanmean(sys_error))
        return found

    @staticmethod
    def check_new(path: Any, tel_id: int, found: dict[int, Any]) -> None:
        """One product a telescope."""
        require(tel_id not in found, f"{path} is a second product of telescope {tel_id}")

    def reference_slices(self, path: Any, site: Any) -> dict[str, Any]:
        """What the product of a reference night keeps of its rates."""
        import numpy as np

        from ..core.products import read_table

        table = read_table(self.add_input(path, KIND), KIND)
        header = table.meta["calibpipe"]
        require(
            header["site"] == site.name,
            f"{path} is of {header['site']}, needs a reference night of {site.name}",
        )
        names = ("rate", "rate_error", *PER_TELESCOPE)
        values = {name: np.asarray(getattr(table[name], "value", table[name])) for name in names}
        return values | {
            "zenith": table["zenith"],
            "tel_ids": np.array(header["tel_ids"]),
            "night": header["night"],
        }

    def rate_model(self, samples: list[dict[str, Any]]) -> tuple[Any, str]:
        """Model of the rates; the zenith exponent from the references where they know better."""
        import numpy as np

        from ..atmosphere.transparency import RateModel, zenith_exponent

        exponent, error, source = self.zenith_exponent, self.zenith_exponent_error, "configured"
        if self.fit_zenith_exponent:
            flat = _flat(samples)
            group = np.unique(
                np.stack([flat["sample"], flat["tel_id"], flat["n_telescopes"]]),
                axis=1,
                return_inverse=True,
            )[1].ravel()
            fitted = zenith_exponent(flat["rate"], flat["rate_error"], flat["zenith"], group)
            if fitted[1] < error:
                exponent, error, source = *fitted, "reference nights"
        model = RateModel(
            spectral_index=self.spectral_index,
            spectral_index_error=self.spectral_index_error,
            higher_order=self.higher_order,
            zenith_exponent=exponent,
            zenith_exponent_error=error,
        )
        return model, source

    def normalisation(self, samples: list[dict[str, Any]], model: Any) -> Any:
        """Normalisation by telescope and multiplicity."""
        from ..atmosphere.reference_nights import normalisation
        from ..atmosphere.transparency import telescope_light

        flat = _flat(samples)
        light = telescope_light(
            flat["rate"], flat["zenith"], flat["throughput"], flat["gain"], model
        )
        error = light * flat["rate_error"] / flat["rate"] / model.exponent
        return normalisation(
            light,
            error,
            flat["tel_id"],
            flat["n_telescopes"],
            flat["night"],
            flat["zenith"],
            flat["throughput"] * flat["gain"],
            single_night_scatter=self.reference_scatter,
        )

    def coefficients_of(self, own: dict[str, Any], reference: Any, model: Any) -> Any:
        """Coefficients of this night."""
        import numpy as np

        from ..atmosphere.transparency import transparency_coefficient
        from ..core.exceptions import InsufficientStatisticsError

        n_telescopes = np.isfinite(own["rate"]).sum(axis=1)
        found = transparency_coefficient(
            own["rate"],
            own["rate_error"],
            own["zenith"],
            own["throughput"],
            own["throughput_error"],
            own["gain"],
            own["gain_error"],
            reference.of(own["tel_ids"], n_telescopes[:, None]),
            model,
            common_error=reference.common_error,
            mean_log_cos_zenith=reference.mean_log_cos_zenith,
        )
        if not found.n_telescopes.any():
            known = np.stack([reference.tel_id, reference.n_telescopes], axis=1).tolist()
            raise InsufficientStatisticsError(
                f"no telescope of the night {self.night} has a reference with as many telescopes "
                f"({sorted(set(n_telescopes.tolist()))}); the references have, as (telescope, "
                f"number), {known}: give reference nights of the same array"
            )
        return found

    def is_good(self, found: Any) -> Any:
        """Slices whose transparency is within the limits."""
        return (found.array > self.min_transparency) & (found.array < self.max_transparency)

    def summary(self, found: Any, own: dict[str, Any]) -> dict[str, Any]:
        """Mean of the night, slices weighted by their length."""
        from ..atmosphere.transparency import night_mean

        names = ("transparency", "stat_error", "sys_error")
        mean = night_mean(found, own["end"] - own["begin"])
        return dict(zip(names, mean, strict=True)) | {
            "n_slices": len(found.n_telescopes),
            "n_good_slices": int(self.is_good(found).sum()),
            "n_slices_without_reference": int((found.n_telescopes == 0).sum()),
        }

    def details(
        self, own: dict[str, Any], reference: Any, model: Any, source: str
    ) -> dict[str, Any]:
        """Parameters and normalisation for the header."""
        from dataclasses import asdict

        return {
            "tel_ids": own["tel_ids"].tolist(),
            "n_excluded_rows": own["n_excluded"],
            "is_reference": self.reference_night,
            "rate_model": asdict(model) | {"exponent": model.exponent},
            "zenith_exponent_source": source,
            "normalisation": {
                name: value.tolist() if hasattr(value, "tolist") else value
                for name, value in asdict(reference).items()
            },
        }

    def table(self, own: dict[str, Any], found: Any) -> Any:
        """One row a slice; columns of telescopes in the order of `tel_ids` of the header."""
        import astropy.units as u
        from astropy.table import QTable
        from astropy.time import Time

        times = {
            f"{name}_utc": Time(own[name], format="unix_tai", scale="tai").utc.isot
            for name in ("begin", "end")
        }
        return QTable(
            times
            | {
                "zenith": own["zenith"],
                "transparency": found.array,
                "stat_error": found.stat_error,
                "sys_error": found.sys_error,
                "n_telescopes": found.n_telescopes,
                "chi2": found.chi2,
                "is_good": self.is_good(found),
                "telescope_transparency": found.telescope,
                "telescope_stat_error": found.telescope_stat_error,
                "telescope_sys_error": found.telescope_sys_error,
                "rate": own["rate"] * u.Hz,
                "rate_error": own["rate_error"] * u.Hz,
            }
            | {name: own[name] for name in PER_TELESCOPE}
        )


def _flat(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """All rates of several nights, one entry for a telescope in a slice."""
    import numpy as np

    columns: dict[str, list[Any]] = {}
    for number, sample in enumerate(samples):
        shape = sample["rate"].shape
        n_telescopes = np.isfinite(sample["rate"]).sum(axis=1)
        values = {name: sample[name] for name in ("rate", "rate_error", *PER_TELESCOPE)} | {
            "zenith": np.broadcast_to(sample["zenith"][:, None], shape, subok=True),
            "tel_id": np.broadcast_to(sample["tel_ids"], shape),
            "n_telescopes": np.broadcast_to(n_telescopes[:, None], shape),
            "night": np.full(shape, sample["night"]),
            "sample": np.full(shape, number),
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value.ravel())
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def main() -> None:
    """Run the Tool."""
    CalculateTransparencyCoefficient().run()
