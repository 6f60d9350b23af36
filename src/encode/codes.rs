//! The codes of this room: 20xx is about the contract and what fills it, 21xx about a row's values.

use crate::diagnostic::Code;

/// The file is no Avro schema: JSON or structure.
pub const NOT_AVRO: Code = Code(2001);
/// The top level of a contract is not a record.
pub const NOT_A_RECORD: Code = Code(2002);
/// A type contains itself.
pub const RECURSIVE: Code = Code(2003);
/// Precision or scale of a decimal cannot be.
pub const BAD_DECIMAL: Code = Code(2004);
/// A default that is not a value of its type (for a union: of its first type).
pub const BAD_DEFAULT: Code = Code(2005);
/// A name is defined twice.
pub const DUPLICATE_NAME: Code = Code(2006);
/// A name that Avro does not allow.
pub const ILLEGAL_NAME: Code = Code(2007);
/// An unknown attribute that begins with `pgspine.`, or a value it cannot have.
pub const BAD_ATTRIBUTE: Code = Code(2008);
/// A field of the contract that nothing fills.
pub const FIELD_WITHOUT_OUTPUT: Code = Code(2010);
/// An output that the contract does not have.
pub const OUTPUT_WITHOUT_FIELD: Code = Code(2011);
/// NULL is possible, the field does not take it.
pub const NULLABLE_OUTPUT: Code = Code(2012);
/// The output's type cannot become the field's.
pub const TYPE_MISMATCH: Code = Code(2013);
/// Precision would be lost and the field does not say that it may.
pub const LOSSY: Code = Code(2014);
/// An enum of PostgreSQL has labels that the contract's enum lacks.
pub const ENUM_NOT_COVERED: Code = Code(2015);
/// The key's schema and the key columns do not fit.
pub const BAD_KEY: Code = Code(2016);
/// `from_default` or `not_null` names something that is not there.
pub const UNKNOWN_PATH: Code = Code(2017);

/// NULL where the field takes none.
pub const ROW_NULL: Code = Code(2101);
/// NaN, an infinity, a BC date, 24:00: a value outside of the field's type.
pub const ROW_SPECIAL: Code = Code(2102);
/// More digits than the decimal has.
pub const ROW_DECIMAL: Code = Code(2103);
/// Text that is no symbol of the enum.
pub const ROW_SYMBOL: Code = Code(2104);
/// The expression raised an error, as PostgreSQL would have.
pub const ROW_EVAL: Code = Code(2105);
/// Key, value and headers together are larger than `max_record`.
pub const ROW_TOO_LARGE: Code = Code(2106);
/// Bytes that are not the text form of the column's type.
pub const ROW_MALFORMED: Code = Code(2107);
/// A number or a length outside of what the field holds.
pub const ROW_RANGE: Code = Code(2108);
