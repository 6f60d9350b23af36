/* pgspine
topic = "golden.full_swap.v1"
key = ["seat"]
contract = "contract.avsc"
*/
SELECT s.seat, s.guest FROM seating AS s;
