//! Handshakes without a network.

use std::sync::Arc;

use rstest::rstest;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, ServerConfig,
    ServerConnection, SignatureScheme, SupportedProtocolVersion,
};

use super::{RSA, RSA_KEY, SITE, SITE_KEY, certificate, issued};
use crate::tls::{Certificate, Certificates, Chain, Key, MinVersion, server_config};

#[test]
fn what_is_told_of_a_certificate_is_not_its_key() {
    let site = certificate(SITE, SITE_KEY);
    let config = config(vec![site.clone()], MinVersion::Tls12);
    let told = format!("{site:?} {config:?} {:?}", Key::from_pem(SITE_KEY));
    let secret = der_of(SITE_KEY);
    for part in secret.windows(6) {
        let numbers: Vec<String> = part.iter().map(ToString::to_string).collect();
        assert!(!told.contains(&numbers.join(", ")));
    }
}

fn der_of(pem: &[u8]) -> Vec<u8> {
    PrivateKeyDer::from_pem_slice(pem)
        .unwrap()
        .secret_der()
        .to_vec()
}

fn config(certificates: Vec<Certificate>, oldest: MinVersion) -> Arc<ServerConfig> {
    let certificates = Certificates::new(certificates).unwrap();
    server_config(Arc::new(certificates), oldest, &[b"http/1.1"]).unwrap()
}

/// A client that believes everybody, and can check signatures by these only.
#[derive(Debug)]
struct Believer(Vec<SignatureScheme>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

fn client(
    version: &'static SupportedProtocolVersion,
    schemes: &[SignatureScheme],
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer(schemes.to_vec())))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

const ANY: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
];

/// A handshake of both, to its end and the tickets after it; the certificate
/// that was shown.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    host: &'static str,
) -> Result<(ClientConnection, CertificateDer<'static>), rustls::Error> {
    let name = ServerName::try_from(host).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    for _ in 0..4 {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        server.read_tls(&mut sent.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut sent = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sent).unwrap();
        }
        client.read_tls(&mut sent.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let shown = client.peer_certificates().unwrap()[0].clone().into_owned();
    Ok((client, shown))
}

#[rstest]
fn a_handshake_shows_the_certificate_that_was_asked_for(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let other = issued(&["other.example"]);
    let server = config(
        vec![other.clone(), certificate(SITE, SITE_KEY)],
        MinVersion::Tls12,
    );
    let client = client(version, ANY, &[b"h2", b"http/1.1"]);
    let own = |host| shake(&client, &server, host).unwrap();
    let (connection, shown) = own("IMG.example.com");
    assert_eq!(shown, Chain::from_pem(SITE).unwrap().certificates[0]);
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
    for host in ["nobody.example", "192.0.2.1"] {
        assert_eq!(own(host).1, other.certified.cert[0], "{host}");
    }
}

#[rstest]
fn a_client_gets_the_certificate_whose_key_it_can_check(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
    #[values("img.example.com", "nobody.example")] host: &'static str,
) {
    let both = vec![certificate(SITE, SITE_KEY), certificate(RSA, RSA_KEY)];
    let expected = [
        both[0].certified.cert[0].clone(),
        both[1].certified.cert[0].clone(),
    ];
    let server = config(both, MinVersion::Tls12);
    for (schemes, expected) in [
        (ANY, &expected[0]),
        (&ANY[..1], &expected[0]),
        (&ANY[1..], &expected[1]),
    ] {
        let (_, shown) = shake(&client(version, schemes, &[]), &server, host).unwrap();
        assert_eq!(shown, *expected, "{schemes:?}");
    }
    let old = [SignatureScheme::RSA_PKCS1_SHA1];
    assert!(shake(&client(version, &old, &[]), &server, host).is_err());
}

#[test]
fn older_versions_and_other_protocols_are_refused() {
    let server = config(vec![certificate(SITE, SITE_KEY)], MinVersion::Tls13);
    let shaken = |version, protocols| shake(&client(version, ANY, protocols), &server, "a.example");
    assert!(shaken(&TLS13, &[]).is_ok());
    let error = shaken(&TLS12, &[]).unwrap_err();
    assert!(
        matches!(error, rustls::Error::PeerIncompatible(_)),
        "{error}"
    );
    let error = shaken(&TLS13, &[b"spdy/3"]).unwrap_err();
    assert_eq!(error, rustls::Error::NoApplicationProtocol);
}

/// Also under another configuration with another certificate: sessions outlive
/// a reload.
#[rstest]
fn a_session_is_resumed_after_a_reload(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let before = config(vec![certificate(SITE, SITE_KEY)], MinVersion::Tls12);
    let after = config(vec![issued(&["img.example.com"])], MinVersion::Tls12);
    let client = client(version, ANY, &[b"http/1.1"]);
    let kind = |server, host| {
        shake(&client, server, host)
            .unwrap()
            .0
            .handshake_kind()
            .unwrap()
    };
    assert_eq!(kind(&before, "img.example.com"), HandshakeKind::Full);
    assert_eq!(kind(&before, "img.example.com"), HandshakeKind::Resumed);
    assert_eq!(kind(&after, "img.example.com"), HandshakeKind::Resumed);
    assert_eq!(kind(&after, "a.cdn.example.com"), HandshakeKind::Full);
}
