/* pgspine
topic = "shop.customer.v1"
key   = ["customer_id"]
doc   = "A customer who has not closed the account"
owner = "shop"
*/
SELECT
  c.id                                              AS customer_id,
  c.full_name                                       AS name,
  lower(c.email)                                    AS email,
  CASE WHEN c.points >= 1000 THEN 'gold'
       WHEN c.points >= 100  THEN 'silver'
       ELSE 'bronze' END                            AS tier,
  c.created_at
FROM shop.customers AS c
WHERE c.closed_at IS NULL;
