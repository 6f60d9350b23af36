/* pgspine
topic = "golden.truncate.v1"
key = ["id"]
contract = "contract.avsc"
*/
SELECT t.id, t.v FROM t;
