//! Aggregates that PostgreSQL has and we do not compute, each with what to write instead.

use super::{Aggregate, refused};
use crate::transform::function::Arg::{
    self, Any, AnyElement, Float4, Float8, Int2, Int4, Int8, Interval, Numeric, Other,
};

const SPREAD: &str = "publish count(x), sum(x) and sum(x * x) over numeric values; the reader has the spread from them";
const REGRESSION: &str = "publish the sums that it is made of, over numeric values";
const WITHIN_GROUP: &str = "WITHIN GROUP is not supported; publish the values with array_agg(x ORDER BY x)";
const XML: &str = "xml is not built here; use string_agg(x::text, '' ORDER BY …) in an output of type text";
const RANGES: &str = "ranges are not computed here; publish their bounds with array_agg, or use min and max of them";

const MULTI: Arg = Other("anymultirange");
const RANGE: Arg = Other("anyrange");
const FLOATS: Arg = Other("_float8");

macro_rules! table {
    (spread: $($spread:literal)*; regression: $($regression:literal $returns:expr,)*) => {
        &[
            $(
                refused($spread, &[Int2], Numeric, SPREAD),
                refused($spread, &[Int4], Numeric, SPREAD),
                refused($spread, &[Int8], Numeric, SPREAD),
                refused($spread, &[Numeric], Numeric, SPREAD),
                refused($spread, &[Float4], Float8, SPREAD),
                refused($spread, &[Float8], Float8, SPREAD),
            )*
            $(refused($regression, &[Float8, Float8], $returns, REGRESSION),)*
            refused("mode", &[AnyElement], AnyElement, WITHIN_GROUP),
            refused("percentile_cont", &[Float8, Float8], Float8, WITHIN_GROUP),
            refused("percentile_cont", &[Float8, Interval], Interval, WITHIN_GROUP),
            refused("percentile_cont", &[FLOATS, Float8], FLOATS, WITHIN_GROUP),
            refused("percentile_cont", &[FLOATS, Interval], Other("_interval"), WITHIN_GROUP),
            refused("percentile_disc", &[Float8, AnyElement], AnyElement, WITHIN_GROUP),
            refused("percentile_disc", &[FLOATS, AnyElement], Arg::AnyArray, WITHIN_GROUP),
            refused("rank", &[Any], Int8, WITHIN_GROUP),
            refused("dense_rank", &[Any], Int8, WITHIN_GROUP),
            refused("percent_rank", &[Any], Float8, WITHIN_GROUP),
            refused("cume_dist", &[Any], Float8, WITHIN_GROUP),
            refused("range_agg", &[RANGE], MULTI, RANGES),
            refused("range_agg", &[MULTI], MULTI, RANGES),
            refused("range_intersect_agg", &[RANGE], RANGE, RANGES),
            refused("range_intersect_agg", &[MULTI], MULTI, RANGES),
            refused("xmlagg", &[Other("xml")], Other("xml"), XML),
        ]
    };
}

pub(super) static AGGREGATES: &[Aggregate] = table! {
    spread: "variance" "var_pop" "var_samp" "stddev" "stddev_pop" "stddev_samp";
    regression: "corr" Float8, "covar_pop" Float8, "covar_samp" Float8, "regr_avgx" Float8, "regr_avgy" Float8,
        "regr_count" Int8, "regr_intercept" Float8, "regr_r2" Float8, "regr_slope" Float8, "regr_sxx" Float8,
        "regr_sxy" Float8, "regr_syy" Float8,
};
