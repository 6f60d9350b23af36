/* pgspine
topic = "golden.flat.v1"
key = ["order_id"]
contract = "contract.avsc"
*/
SELECT o.id AS order_id, upper(o.status) AS status, o.qty * 2 AS doubled, o.price FROM shop_order AS o;
