//! The committed code is what the `.proto` file generates. `BLESS=1` writes it instead of comparing.
#![forbid(unsafe_code)]

use std::{fs, path::Path};

use prost_types::{
    FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const PROTO: &str = "gnomon/v1/collector.proto";
const GENERATED: &str = "gnomon.v1.rs";

/// When a field is left out of the JSON form, by its protobuf type.
fn skipped_if(field: &FieldDescriptorProto) -> Option<&'static str> {
    if field.label() == Label::Repeated {
        return Some("Vec::is_empty");
    }
    match field.r#type() {
        Type::Message => Some("Option::is_none"),
        Type::String => Some("String::is_empty"),
        Type::Bytes => Some("Vec::is_empty"),
        _ => None,
    }
}

fn generate(descriptors: FileDescriptorSet, out: &Path) {
    let mut builder = tonic_prost_build::configure()
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .skip_debug([".gnomon.v1.EnrolRequest"])
        .message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(default)]");
    for file in &descriptors.file {
        for message in &file.message_type {
            for field in &message.field {
                if let Some(test) = skipped_if(field) {
                    let path = format!(".{}.{}.{}", file.package(), message.name(), field.name());
                    builder =
                        builder.field_attribute(path, format!("#[serde(skip_serializing_if = \"{test}\")]"));
                }
            }
        }
    }
    builder.compile_fds(descriptors).expect("code is generated");
}

#[test]
fn committed_code_is_what_the_proto_file_generates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([PROTO], [root.join("proto")]).expect("the .proto file is valid");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    generate(descriptors, out);

    let fresh = fs::read_to_string(out.join(GENERATED)).expect("generated file");
    let committed = root.join("src/generated").join(GENERATED);
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(&committed, fresh).expect("write the generated file");
        return;
    }
    assert!(
        fs::read_to_string(&committed).expect("committed file") == fresh,
        "{PROTO} changed: run BLESS=1 cargo test -p gnomon-proto --test generated"
    );
}
