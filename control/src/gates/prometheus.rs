//! A query to a Prometheus server: the value of each series has to keep within the bound. No series, or one whose value is
//! no number, says nothing.

use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use swap_core::duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, Bound, ServerUrl};

/// For the whole question.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(super) async fn ask(url: &str, query: &str, wanted: &str) -> Answer {
    // Both were read before they were journalled.
    let (url, bound) = match (url.parse::<ServerUrl>(), wanted.parse::<Bound>()) {
        (Ok(url), Ok(bound)) => (url, bound),
        (Err(why), _) | (_, Err(why)) => return Answer::Unclear(format!("it {why}")),
    };
    let unclear = |why: String| Answer::Unclear(format!("{} {why}", url.place));
    match timeout(ANSWER_TIME_MAX, fetch(&url, query)).await {
        Err(_) => {
            let limit = duration::text(ANSWER_TIME_MAX);
            unclear(format!("has not answered within {limit}"))
        }
        Ok(Err(why)) => unclear(why),
        Ok(Ok(octets)) => match values(&octets) {
            Ok(values) => compare(&values, bound),
            Err(why) => unclear(why),
        },
    }
}

async fn fetch(url: &ServerUrl, query: &str) -> Result<Bytes, String> {
    let unreachable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "refuses connections".to_owned(),
        _ => format!("cannot be reached: {error}"),
    };
    let stream = TcpStream::connect(&url.place).await.map_err(unreachable)?;
    let no_http = |error: hyper::Error| format!("gives no HTTP answer: {error}");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(no_http)?;
    let request = Request::get(url.target(query))
        .header(HOST, &url.authority)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be asked that: {error}"))?;
    let answering = async {
        let answer = sender.send_request(request).await.map_err(no_http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await;
        let body = body.map_err(|error| format!("broke off its answer: {error}"))?;
        let octets = body.to_bytes();
        if status.is_success() {
            Ok(octets)
        } else {
            Err(format!("answered {}{}", status.as_u16(), words_of(&octets)))
        }
    };
    // The connection is dropped with the answer.
    tokio::pin!(answering, connection);
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        ended = &mut connection => match ended {
            Ok(()) => answering.await,
            Err(error) => Err(no_http(error)),
        },
    }
}

/// What it says of an error, if anything.
fn words_of(octets: &[u8]) -> String {
    let said: Result<Said, _> = serde_json::from_slice(octets);
    let words = said.ok().and_then(|said| said.error);
    words.map_or(String::new(), |words| {
        format!(": {}", words.chars().take(200).collect::<String>())
    })
}

#[derive(Deserialize)]
struct Said {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// The first value of each series.
fn values(octets: &[u8]) -> Result<Vec<f64>, String> {
    let malformed = || "gives an answer that is not Prometheus's".to_owned();
    let said: Said = serde_json::from_slice(octets).map_err(|_| malformed())?;
    let Data {
        result_type,
        result,
    } = said.data.ok_or_else(malformed)?;
    let samples: Vec<&Value> = match (result_type.as_str(), &result) {
        ("scalar", sample) => vec![sample],
        ("vector", Value::Array(series)) => series.iter().map(|one| &one["value"]).collect(),
        ("matrix", Value::Array(series)) => {
            let values = series.iter().map(|one| one["values"].as_array());
            let values: Option<Vec<_>> = values.collect();
            values
                .ok_or_else(malformed)?
                .into_iter()
                .flatten()
                .collect()
        }
        _ => return Err(malformed()),
    };
    let value = |sample: &Value| sample[1].as_str().and_then(|text| text.parse().ok());
    let values = samples.into_iter().map(value);
    values.collect::<Option<_>>().ok_or_else(malformed)
}

fn compare(values: &[f64], bound: Bound) -> Answer {
    if values.is_empty() {
        return Answer::Unclear("the query has no result".to_owned());
    }
    // What is no number says nothing, but takes nothing from what the others say.
    let breaks = |value: &&f64| !value.is_nan() && !bound.holds(**value);
    if let Some(value) = values.iter().find(breaks) {
        return Answer::No(format!("the value is {value}, not {bound}"));
    }
    if values.iter().any(|value| value.is_nan()) {
        return Answer::Unclear("the value is no number".to_owned());
    }
    Answer::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[&str]) -> Vec<u8> {
        let series = values
            .iter()
            .map(|value| serde_json::json!({ "metric": {}, "value": [1_435_781_451.781, value] }));
        let series: Vec<_> = series.collect();
        let data = serde_json::json!({ "resultType": "vector", "result": series });
        serde_json::json!({ "status": "success", "data": data })
            .to_string()
            .into_bytes()
    }

    fn answer(values: &[&str]) -> Answer {
        compare(
            &super::values(&vector(values)).unwrap(),
            "< 1".parse().unwrap(),
        )
    }

    #[test]
    fn every_series_has_to_keep_within_the_bound() {
        assert_eq!(answer(&["0.5", "0"]), Answer::Yes);
        assert_eq!(
            answer(&["0.5", "3"]),
            Answer::No("the value is 3, not < 1".to_owned())
        );
        assert!(matches!(answer(&["+Inf"]), Answer::No(_)));
        assert!(matches!(answer(&["0.5", "NaN"]), Answer::Unclear(_)));
        assert!(matches!(answer(&["NaN", "3"]), Answer::No(_)));
        assert!(matches!(answer(&[]), Answer::Unclear(_)));
    }

    #[test]
    fn other_kinds_of_results_are_read_too() {
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
        assert_eq!(values(scalar), Ok(vec![2.0]));
        let matrix = br#"{"data":{"resultType":"matrix","result":[{"values":[[1,"2"],[2,"3"]]}]}}"#;
        assert_eq!(values(matrix), Ok(vec![2.0, 3.0]));
        for other in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"data":{"resultType":"string","result":[]}}"#,
        ] {
            assert!(values(other).is_err());
        }
        let odd = br#"{"data":{"resultType":"vector","result":[{"value":[1,2]}]}}"#;
        assert!(values(odd).is_err());
    }
}
