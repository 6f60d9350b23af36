-- upper, lower and initcap for every code point, in the database's own locale. `upper` and `lower` are NULL where they
-- change nothing; `inner_word` and `first_of_word` say whether initcap takes the code point for a part of a word when
-- it stands inside one and when it begins one. Ranges: rows of neighbours that are alike are folded into one.
SELECT 'map' AS kind, i AS first, i AS last, nullif(upper(chr(i)), chr(i)) AS upper, nullif(lower(chr(i)), chr(i)) AS lower,
       NULL AS agree
FROM generate_series(1, 1114111) AS i
WHERE i NOT BETWEEN 55296 AND 57343 AND (upper(chr(i)) <> chr(i) OR lower(chr(i)) <> chr(i))
UNION ALL
SELECT 'word', min(i), max(i), NULL, NULL, bool_and(inner_word = first_of_word)
FROM ( SELECT i, inner_word, first_of_word, i - row_number() OVER (ORDER BY i) AS island
       FROM ( SELECT i, right(initcap('a' || chr(i) || 'a'), 1) COLLATE "C" = 'a' AS inner_word,
                     right(initcap(' ' || chr(i) || 'a'), 1) COLLATE "C" = 'a' AS first_of_word
              FROM generate_series(1, 1114111) AS i
              WHERE i NOT BETWEEN 55296 AND 57343 ) AS asked
       WHERE inner_word OR first_of_word ) AS word
GROUP BY island
