/* pgspine
topic = "golden.filter.v1"
key = ["a", "b"]
contract = "contract.avsc"
*/
SELECT i.a, i.b, i.note FROM item AS i WHERE i.live AND i.note IS DISTINCT FROM 'secret';
