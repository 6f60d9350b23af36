/* pgspine
topic = "golden.toast.v1"
key = ["id"]
contract = "contract.avsc"
*/
SELECT d.id, d.n, length(d.body) AS length, substring(d.body, 1, 8) AS head FROM doc AS d;
