//! What the vault, the token replies and the cookies rely on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail a test")]

use databridge_seal::{
    ExposeSecret as _, KeyError, KeyRing, MasterKey, OpenError, Sealed, SealedFormatError,
};
use proptest::prelude::*;
use rand::rngs::{OsRng, StdRng};
use rand::{SeedableRng as _, TryRngCore as _};

const HEX: &str = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
const BASE64: &str = "ABEiM0RVZneImaq7zN3u/wEjRWeJq83v/ty6mHZUMhA=";
const OTHER: &str = "ff112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";

fn master(text: &str) -> MasterKey {
    MasterKey::parse(text).unwrap()
}

fn altered(sealed: &str, at: usize) -> String {
    let mut characters: Vec<char> = sealed.chars().collect();
    characters[at] = if characters[at] == 'A' { 'B' } else { 'A' };
    characters.into_iter().collect()
}

#[test]
fn one_key_is_read_alike_from_every_form() {
    let sealed = master(HEX).derive("vault").seal(b"token", b"").unwrap();
    let url_safe = BASE64.replace('+', "-").replace('/', "_");
    let padded = format!("  {BASE64}\n");
    for form in [HEX.to_uppercase().as_str(), BASE64, BASE64.trim_end_matches('='), &url_safe, &padded] {
        assert_eq!(master(form).derive("vault").open_text(&sealed, b"").unwrap().expose_secret(), "token");
    }
}

#[test]
fn a_text_that_is_no_key_is_refused_without_being_shown() {
    let texts = [
        "correct horse battery staple",
        &HEX.replacen("00", "", 1),
        &format!("{HEX}00"),
        &HEX.replace('0', "g"),
        "c2hvcnQ=",
    ];
    for text in texts {
        let error = MasterKey::parse(text).unwrap_err();
        assert_eq!(error, KeyError::Form { characters: text.len() });
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("DATABRIDGE_KEY") && shown.contains("databridge key --new"), "{shown}");
        assert!(!shown.contains(text), "{shown}");
    }
    assert_eq!(MasterKey::parse(" \n").unwrap_err(), KeyError::Empty);
    assert!(KeyError::Empty.to_string().contains("DATABRIDGE_KEY"));
}

#[test]
fn a_key_read_through_serde_is_checked_and_not_shown() {
    let key: MasterKey = serde_json::from_str(&format!("\"{HEX}\"")).unwrap();
    assert_eq!(key.derive("vault").id(), master(HEX).derive("vault").id());
    let error = serde_json::from_str::<MasterKey>("\"hunter2hunter2\"").unwrap_err().to_string();
    assert!(error.contains("DATABRIDGE_KEY") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_generated_key_can_be_read_back_and_is_never_the_same_twice() {
    let first = MasterKey::generate(&mut OsRng).unwrap();
    let second = MasterKey::generate(&mut OsRng).unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    assert_eq!(first.expose_secret().len(), 64);
    MasterKey::parse(first.expose_secret()).unwrap();
}

#[test]
fn a_generated_key_is_all_of_the_generator_s_bytes() {
    let mut expected = [0_u8; 32];
    StdRng::seed_from_u64(7).try_fill_bytes(&mut expected).unwrap();
    let key = MasterKey::generate(&mut StdRng::seed_from_u64(7)).unwrap();
    assert_eq!(key.expose_secret(), hex::encode(expected));
}

#[test]
fn a_text_sealed_for_one_purpose_is_not_opened_for_another() {
    let sealed = master(HEX).derive("token:clio").seal(b"token", b"").unwrap();
    let gis = master(HEX).derive("token:gis");
    let error = gis.open(&sealed, b"").unwrap_err();
    assert_eq!(
        error,
        OpenError::UnknownKey { wanted: sealed.key_id().clone(), held: vec![gis.id().clone()] }
    );
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_is_here() {
    let sealed = master(HEX).derive("vault").seal(b"token", b"").unwrap();
    let here = master(OTHER).derive("vault");
    let text = here.open(&sealed, b"").unwrap_err().to_string();
    assert!(text.contains(sealed.key_id().as_str()) && text.contains(here.id().as_str()), "{text}");
}

#[test]
fn a_renamed_key_id_does_not_make_a_text_open() {
    let (one, two) = (master(HEX).derive("vault"), master(OTHER).derive("vault"));
    let sealed = one.seal(b"token", b"").unwrap();
    let renamed = sealed.to_string().replace(one.id().as_str(), two.id().as_str());
    let error = two.open(&renamed.parse().unwrap(), b"").unwrap_err();
    assert_eq!(error, OpenError::Altered { key_id: two.id().clone() });
}

#[test]
fn a_text_moved_to_another_place_is_refused() {
    let key = master(HEX).derive("vault");
    let sealed = key.seal(b"token", b"clio").unwrap();
    for place in [b"gis".as_slice(), b"", b"clio ", b"lio"] {
        assert_eq!(key.open(&sealed, place).unwrap_err(), OpenError::Altered { key_id: key.id().clone() });
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let key = master(HEX).derive("vault");
    let text = key.seal(b"a refresh token", b"clio").unwrap().to_string();
    for at in 0..text.len() {
        let opened = altered(&text, at).parse::<Sealed>().map(|sealed| key.open(&sealed, b"clio").is_ok());
        assert!(!matches!(opened, Ok(true)), "a change at {at} went unnoticed");
    }
}

#[test]
fn a_text_that_was_never_sealed_is_refused_by_its_form() {
    let text = master(HEX).derive("vault").seal(b"", b"").unwrap().to_string();
    let cut: String = text.chars().take(text.len() - 2).collect();
    for (bad, error) in [
        ("", SealedFormatError::Version),
        ("a plain token", SealedFormatError::Version),
        ("v2.0123abcd.AAAA", SealedFormatError::Version),
        ("v1.0123abcd", SealedFormatError::KeyId),
        ("v1.0123ABCD.AAAA", SealedFormatError::KeyId),
        ("v1.0123abc.AAAA", SealedFormatError::KeyId),
        ("v1.0123abcd.!", SealedFormatError::Body),
        (&cut, SealedFormatError::Body),
    ] {
        assert_eq!(bad.parse::<Sealed>().unwrap_err(), error, "{bad}");
    }
}

#[test]
fn the_same_content_is_sealed_to_another_text_every_time() {
    let key = master(HEX).derive("vault");
    assert_ne!(key.seal(b"token", b"").unwrap(), key.seal(b"token", b"").unwrap());
}

#[test]
fn a_sealed_text_keeps_its_form_through_json() {
    let sealed = master(HEX).derive("vault").seal(b"token", b"").unwrap();
    let json = serde_json::to_string(&sealed).unwrap();
    assert_eq!(json, format!("\"{sealed}\""));
    assert!(sealed.to_string().starts_with(&format!("v1.{}.", sealed.key_id())));
    assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
    assert!(serde_json::from_str::<Sealed>("\"token\"").is_err());
}

/// A text made by the first version of this crate: what is stored today must open tomorrow.
#[test]
fn a_text_sealed_by_an_earlier_build_still_opens() {
    let sealed: Sealed = FIXED.parse().unwrap();
    let opened = master(HEX).derive("vault").open_text(&sealed, b"clio").unwrap();
    assert_eq!(opened.expose_secret(), "kept since the first version");
}

const FIXED: &str =
    "v1.8e42151b.FlSLvFm9whr5H13X6NgHHT2riGuybWwid7J8Ochl2c0hT1a3CC817-bCroJdW8z-9i1yjSDeVrAhdXi-p6RMByYcTVs";

#[test]
fn bytes_that_are_no_text_are_opened_as_bytes_only() {
    let key = master(HEX).derive("vault");
    let sealed = key.seal(&[0xff, 0xfe], b"").unwrap();
    assert_eq!(key.open(&sealed, b"").unwrap().expose_secret(), [0xff, 0xfe]);
    assert_eq!(key.open_text(&sealed, b"").unwrap_err(), OpenError::NotText { key_id: key.id().clone() });
}

#[test]
fn a_ring_opens_what_previous_keys_sealed_and_seals_with_the_current_one() {
    let (old, new) = (master(OTHER), master(HEX));
    let sealed_before = old.derive("vault").seal(b"token", b"clio").unwrap();
    let ring = KeyRing::derive(&new, [&old], "vault");

    assert_eq!(ring.open_text(&sealed_before, b"clio").unwrap().expose_secret(), "token");
    assert!(ring.is_outdated(&sealed_before));

    let sealed_now = ring.seal(b"token", b"clio").unwrap();
    assert!(!ring.is_outdated(&sealed_now));
    assert_eq!(new.derive("vault").open(&sealed_now, b"clio").unwrap().expose_secret(), b"token");
    assert_eq!(ring.open(&sealed_now, b"clio").unwrap().expose_secret(), b"token");
}

#[test]
fn a_ring_without_the_right_key_names_the_wanted_one_and_all_that_it_holds() {
    let sealed = master(HEX).derive("cookie").seal(b"token", b"").unwrap();
    let ring = KeyRing::derive(&master(HEX), [&master(OTHER)], "vault");
    let text = ring.open(&sealed, b"").unwrap_err().to_string();
    for id in [sealed.key_id(), master(HEX).derive("vault").id(), master(OTHER).derive("vault").id()] {
        assert!(text.contains(id.as_str()), "{text}");
    }
}

#[test]
fn debug_output_and_errors_show_no_secret() {
    let master = master(HEX);
    let key = master.derive("vault");
    let sealed = key.seal(b"topsecrettoken", b"").unwrap();
    let opened = key.open_text(&sealed, b"").unwrap();
    let ring = KeyRing::derive(&master, [&master], "vault");
    let shown = format!("{master:?} {key:?} {sealed:?} {opened:?} {ring:?}");
    assert!(
        !shown.contains("topsecrettoken") && !shown.contains("00112233") && !shown.contains("0, 17"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn what_was_sealed_is_what_is_opened(plain: Vec<u8>, associated: Vec<u8>, purpose: String) {
        let key = master(HEX).derive(&purpose);
        let text = key.seal(&plain, &associated).unwrap().to_string();
        let opened = key.open(&text.parse().unwrap(), &associated).unwrap();
        prop_assert_eq!(opened.expose_secret(), plain.as_slice());
    }
}
