//! F24: what a reload finds in the place of a certificate.

use rcgen::{CertificateParams, date_time_ymd};
use serde_json::json;

use super::Before;
use crate::app::App;
use crate::tls::{self, Authority, certificate, shake, shown};

#[tokio::test]
async fn f24_a_certificate_that_is_half_written_expired_or_of_another_key_is_not_taken_at_a_reload()
{
    let authority = Authority::new();
    authority.issue("shop", "shop.test");
    let app = App::start("a").await;
    let daemon = tls::daemon(&app, &authority.tls(&["shop"], ""));
    let before = Before::of(&daemon).await;
    let (pem, key) = (authority.file("shop", "pem"), authority.file("shop", "key"));
    let first = certificate(&pem);
    let good = [std::fs::read(&pem).unwrap(), std::fs::read(&key).unwrap()];
    let refuses = async |word: &str| {
        let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
        assert_eq!(status, 400, "{said}");
        let said = said["detail"].as_str().unwrap();
        assert!(
            said.contains("shop.") && said.contains(word),
            "{said}, not {word}"
        );
        let client = authority.client(None);
        let mut stream = shake(&daemon, client, "shop.test").await.unwrap();
        assert_eq!(shown(&stream), first);
        let answer = tls::ask(&mut stream, "shop.test").await.unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    };
    std::fs::write(&pem, &good[0][..good[0].len() / 2]).unwrap();
    refuses("").await;
    std::fs::write(&pem, b"").unwrap();
    refuses("there is no certificate in it").await;
    std::fs::write(&pem, &good[0]).unwrap();
    std::fs::write(&key, &good[1][..good[1].len() / 2]).unwrap();
    refuses("").await;
    authority.issue("other", "shop.test");
    std::fs::copy(authority.file("other", "key"), &key).unwrap();
    refuses("is not the key of").await;

    let mut expired = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    authority.issue_as("shop", expired);
    refuses("it has expired, at 2021-01-01").await;

    authority.issue("shop", "shop.test");
    let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert_eq!(status, 200, "{said}");
    let client = authority.client(None);
    let mut stream = shake(&daemon, client, "shop.test").await.unwrap();
    assert_eq!(shown(&stream), certificate(&pem));
    let answer = tls::ask(&mut stream, "shop.test").await.unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
    drop(stream);
    before.has_no_more(&daemon, 0).await;
}

/// Else nothing could be reloaded before somebody has a new certificate.
#[tokio::test]
async fn f24_one_that_is_in_use_already_stays_although_it_has_expired() {
    let authority = Authority::new();
    let mut expired = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2021, 1, 1);
    authority.issue_as("shop", expired);
    let app = App::start("a").await;
    let daemon = tls::daemon(&app, &authority.tls(&["shop"], ""));
    let (status, said) = daemon.say("POST", "/v1/reload", json!({})).await;
    assert_eq!(status, 200, "{said}");
}
