/* pgspine
topic    = "shop.order-event.v1"
kind     = "event"
key      = ["order_id"]
event_id = "event_id"
backfill = true
doc      = "What happened to an order: one record each time, in the Kafka transaction of the state that changed with it"
owner    = "shop"
*/
SELECT
  e.order_id,
  e.event,
  (e.detail->>'total')::numeric(12, 2) AS total,
  e.detail->>'reason'                  AS reason,
  e.created_at                         AS happened_at,
  e.id                                 AS event_id
FROM shop.order_events AS e;
