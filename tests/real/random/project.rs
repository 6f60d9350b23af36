//! Transforms that bind, with their contracts, as a project; and the server's word on their types.

use super::*;

/// Random transforms that bind, with contracts; what is refused is counted.
pub(super) fn project(
    rng: &mut Rng,
    schema: &schema::Schema,
    source: &mut Source,
    counts: &mut Counts,
    report: &mut String,
    dir: &Path,
    topic: &str,
) -> Result<(Project, Vec<Subject>), String> {
    let folder = dir.join("transforms/x");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = vec![schema.name.clone(), "public".to_owned()];
    let mut kept = Vec::new();
    for n in 0..rng.usize(1..6) {
        let t = transform::random(rng, schema, topic, n);
        let text = t.file();
        let at = folder.join(format!("t{n}.sql"));
        counts.transforms += 1;
        let parsed = files::parse_text(&dir.join("transforms"), &at, text.clone());
        let planned = parsed.and_then(|file| {
            let catalogue =
                capture::catalogue::read(&mut source.ours, &bound::tables_named(std::slice::from_ref(&file)), &path);
            bind(&file, &catalogue.unwrap_or_else(|e| panic!("{e}")))
        });
        let plan = match planned {
            Ok(plan) => plan,
            Err(findings) => {
                counts.refused += 1;
                *counts.reasons.entry(format!("{}: {}", findings[0].code, findings[0].message)).or_default() += 1;
                continue;
            }
        };
        writeln!(report, "{text}").expect("a string");
        let described = described(&t, &plan, &schema.name, source);
        // What the case tables of the server say of constants the binder does not know.
        if described.is_err() && ["upper(", "lower(", "initcap(", "ILIKE"].iter().any(|f| text.contains(f)) {
            counts.refused += 1;
            *counts.reasons.entry("by the server alone".into()).or_default() += 1;
            continue;
        }
        described?;
        let contract = contract::contract(rng, &t, &plan);
        writeln!(report, "{contract}").expect("a string");
        std::fs::write(&at, text).expect("a file");
        std::fs::write(at.with_extension("avsc"), contract.to_string()).expect("a file");
        counts.coverage.transform(&t, &plan);
        counts.events += u32::from(t.event);
        counts.joined += u32::from(plan.sources.len() > 1);
        counts.lists += u32::from(contract.to_string().contains("\"array\""));
        kept.push((t, contract));
    }
    if kept.is_empty() {
        return Ok((Project { definitions: Vec::new(), tables: Vec::new(), warnings: Vec::new() }, Vec::new()));
    }
    let config = bridge::config(&dir.join("in_process"), &dir.join("transforms"), &schema.name);
    let files = bound::files(&config).map_err(|d| shown(&d))?;
    let catalogue =
        capture::catalogue::read(&mut source.ours, &bound::tables_named(&files), &path).map_err(|e| e.to_string())?;
    let project =
        Project::bind(&config, files, &catalogue).map_err(|d| format!("the contract is refused: {}", shown(&d)))?;
    let mut subjects = Vec::new();
    for d in &project.definitions {
        let (t, contract) = kept.iter().find(|(t, _)| t.topic == d.topic).expect("a transform");
        let key: Option<Json> = match &d.key {
            KeySchema::Avro { text, .. } => Some(serde_json::from_str(text).expect("a key schema")),
            KeySchema::String => None,
        };
        let root = &schema.tables[t.table].name;
        let from = match t.event {
            true => event::shadow(&mut source.client, t.table, root)?,
            false => root.clone(),
        };
        let query = Query::new(t, &from, &d.plan, contract, key.as_ref());
        subjects.push(Subject {
            query,
            written: t.clone(),
            value: AvroSchema::parse_str(d.contract.text()).expect("a schema"),
            key: d.key.text().map(|k| AvroSchema::parse_str(k).expect("a schema")),
            fold: BTreeMap::new(),
            errors: BTreeSet::new(),
        });
    }
    Ok((project, subjects))
}

/// The server's types of the outputs are the derived ones.
pub(super) fn described(
    t: &transform::Transform,
    plan: &pgspine::transform::Plan,
    schema: &str,
    source: &mut Source,
) -> Result<(), String> {
    let path = format!("SET search_path = {schema}, public");
    source.ours.execute(&path).map_err(|e| e.to_string())?;
    let columns = capture::preflight::describe(&mut source.ours, &t.sql());
    source.ours.execute("SET search_path = ''").map_err(|e| e.to_string())?;
    let columns = columns.map_err(|e| format!("the server refuses what we take: {}", chain(&e)))?;
    for (column, output) in columns.iter().zip(&plan.outputs) {
        let name = source
            .client
            .query_one(
                "SELECT format_type(CASE WHEN e.typtype = 'd' AND t.typcategory = 'A' THEN (SELECT b.typarray FROM pg_type b \
                 WHERE b.oid = e.typbasetype) ELSE t.oid END, NULL) FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem \
                 WHERE t.oid = $1",
                &[&column.type_oid],
            )
            .map_err(|e| e.to_string())?;
        let theirs: String = name.get(0);
        let ours = pgspine::transform::bind::types::sql_name(&output.shape.expr().ty.ty);
        let bare = |s: &str| s.rsplit('.').next().unwrap_or(s).trim_matches('"').replace("varbit", "bit varying");
        if bare(&ours) != bare(&theirs) && ours != theirs {
            return Err(format!("{}: {} is {theirs}, derived as {ours}", t.name, output.name));
        }
        if let Shape::Scalar(e) = &output.shape
            && e.ty.domain.is_none()
            && column.typmod != e.ty.typmod
            // The planner knows more of an expression than the parser.
            && e.ty.typmod >= 0
        {
            return Err(format!(
                "{}: {} ({theirs}) has typmod {}, derived {}",
                t.name, output.name, column.typmod, e.ty.typmod
            ));
        }
    }
    Ok(())
}
